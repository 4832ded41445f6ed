"""Each kind of feature in each form that an impression has: JSON row, tf.Example, tensors of `predict` and `rank`, JSON of a request."""

import json

import numpy as np
import pytest
import tensorflow as tf

from components.serving.model.data_rows import in_impression
from components.serving.model.impression_tensors import json_instances, predict_tensors, rank_tensors, to_example
from din_trainer.raw_inputs import dimension_names, groups_of, inputs_of, kept_inputs, known_names
from tests.components.serving.model.every_kind import EXAMPLE, FEATURES, NAN, ROW, TENSORS, TYPES

INPUTS = inputs_of(FEATURES)
BY_NAME = {read.column.name: read for read in INPUTS}


def example(row):
    features = tf.train.Example.FromString(to_example(row, FEATURES)).features.feature
    return {name: list(getattr(feature, feature.WhichOneof("kind")).value) for name, feature in features.items()}


def plain(value):
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value


def test_what_requests_have_and_what_only_the_data_has():
    assert BY_NAME.keys() == ROW.keys()
    assert [read.column.name for read in kept_inputs(FEATURES)] == ["user_id", "position", "weight", "purchase"]
    assert known_names(FEATURES) == {"user_id", "position", "weight", "purchase", "historical_word_counts"}
    assert known_names(INPUTS) == set()
    assert groups_of(INPUTS) == [
        ["historical_item_ids", "historical_prices", "historical_actions", "historical_words", "historical_word_weights",
         "historical_images"],
    ]  # fmt: skip


def test_a_row_as_a_tf_example_and_back():
    np.testing.assert_equal(example(ROW), EXAMPLE)
    assert {name: plain(in_impression(EXAMPLE, read)) for name, read in BY_NAME.items()} == ROW


def test_a_row_as_tensors_of_predict():
    tensors = predict_tensors([ROW], FEATURES, pad_to=3)
    np.testing.assert_equal({name: values.tolist() for name, values in tensors.items()}, TENSORS)
    assert {name: values.dtype.name for name, values in tensors.items() if values.dtype != object} == TYPES


def test_tensors_are_as_wide_as_needed_where_nothing_is_asked():
    tensors = predict_tensors([ROW, {**ROW, "genres": [1, 2]}], FEATURES)
    assert tensors["genres"].tolist() == [[4, -1], [1, 2]] and tensors["historical_words"].shape == (2, 2, 2)


def test_each_candidate_of_rank_has_its_own_fields():
    """Fewer candidates are padded with what means nothing: −1, "", NaN, no tags, no vector."""
    first = {"candidate_item_id": 3, "price": 2.5, "genres": [4, 5], "image": [1.0, 2.0], "brand": "x"}
    second = {"candidate_item_id": 9}
    tensors = rank_tensors([ROW, ROW], [[first, second], [second]], FEATURES)
    np.testing.assert_equal(
        {name: tensors[name].tolist() for name in ("candidate_item_id", "price", "genres", "image", "brand")},
        {
            "candidate_item_id": [[3, 9], [9, -1]], "price": [[2.5, NAN], [NAN, NAN]], "genres": [[[4, 5], [-1, -1]], [[-1, -1], [-1, -1]]],
            "image": [[[1.0, 2.0], [NAN, NAN]], [[NAN, NAN], [NAN, NAN]]], "brand": [[b"x", b""], [b"", b""]],
        },
    )  # fmt: skip
    assert tensors["interests"].shape == (2, 2) and tensors["historical_images"].shape == (2, 2, 2)


def test_no_rows_have_shapes_all_the_same():
    tensors = predict_tensors([], FEATURES)
    assert tensors["face"].shape == (0, 2) and tensors["genres"].shape == (0, 1) and tensors["historical_images"].shape == (0, 1, 2)


def test_tensors_as_json():
    """NaN is what json writes for it, which TF Serving reads."""
    (instance,) = json_instances(predict_tensors([ROW], FEATURES, pad_to=3))
    assert json.loads(json.dumps(instance, allow_nan=True)).keys() == ROW.keys()
    assert instance["interests"] == ["a", "b", ""] and instance["historical_word_weights"][0][:3] == [1.0, 2.0, 0.0]
    assert instance["degrees"] == -1.0 and instance["historical_images"][1] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("genres", (None, [], [-1], [None, -1])),
        ("image", (None, [], [None, None], [NAN, NAN])),
        ("brand", (None, [], "", b"")),
        ("price", (None, [], NAN)),
        ("ip", (None, "")),
        ("degrees", (None, NAN)),
    ],
)
def test_every_form_of_a_missing_value_is_the_same(name, forms):
    absent = {key: value for key, value in ROW.items() if key != name}
    expected = predict_tensors([absent], FEATURES)
    for form in forms:
        row = {**ROW, name: form}
        assert name not in example(row)
        np.testing.assert_equal(predict_tensors([row], FEATURES), expected)


def test_a_missing_tag_goes_with_its_weight():
    row = {**ROW, "interests": ["a", "", None, "b"], "interest_weights": [1.0, 9.0, 9.0, 3.0]}
    np.testing.assert_equal(example(row), EXAMPLE)
    words = {"historical_words": [["x", "", "y"], None], "historical_word_weights": [[1.0, 5.0, 2.0], None]}
    np.testing.assert_equal(example({**ROW, **words}), EXAMPLE)


def test_one_tag_and_its_weight_may_stand_without_a_list():
    """So are they in the sample of a data set whose impressions have one tag at most."""
    alone, listed = ({**ROW, "interests": tag, "interest_weights": weight, "genres": 7} for tag, weight in (("a", 0.5), (["a"], [0.5])))
    np.testing.assert_equal(example(alone), example({**listed, "genres": [7]}))
    np.testing.assert_equal(predict_tensors([alone], FEATURES), predict_tensors([{**listed, "genres": [7]}], FEATURES))
    missing = {**ROW, "interests": None, "interest_weights": None, "genres": -1}
    assert not {"interests", "interest_weights", "genres"} & example(missing).keys()


def test_missing_fields_of_events_keep_their_place():
    forms = {"historical_actions": [None, 3], "historical_images": [[], [1.0, 2.0]], "historical_prices": [NAN, 2.5]}
    np.testing.assert_equal(example({**ROW, **forms}), EXAMPLE)


REFUSED = [
    ({"face": [1.0]}, "feature 'face' has 1 number, but a vector of 2 is needed"),
    ({"face": [1.0, 2.0, 3.0]}, "feature 'face' has 3 numbers, but a vector of 2 is needed"),
    ({"face": 1.0}, "feature 'face' has 1.0, but a list is needed"),
    ({"face": [1.0, None]}, "feature 'face' lacks 1 of its 2 numbers: write all of them, or none"),
    ({"face": [1.0, "2"]}, "feature 'face' is [1.0, \"2\"], but float is needed"),
    ({"face": [1.0, float("inf")]}, "feature 'face' is Infinity, but a number that float32 can hold is needed"),
    ({"interests": "a"}, "feature 'interest_weights' has 2 values, but 'interests' has 1: each needs a weight"),
    ({"interests": {"a": 1}, "interest_weights": 1.0}, "feature 'interests' is [{\"a\": 1}], but bytes is needed"),
    ({"interests": ["a", 3]}, "feature 'interests' is [\"a\", 3], but bytes is needed"),
    ({"interests": ["a", "b\n"]}, "feature 'interests' is [\"a\", \"b\\n\"]: no id has a line end or NUL in it"),
    ({"interest_weights": [1.0]}, "feature 'interest_weights' has 1 values, but 'interests' has 2: each needs a weight"),
    ({"interest_weights": None}, "feature 'interest_weights' has 0 values, but 'interests' has 2: each needs a weight"),
    ({"interest_weights": [1.0, None]}, "feature 'interest_weights' is [1.0, null], but each value of 'interests' needs a weight"),
    ({"genres": [4, -2]}, "feature 'genres' holds a negative id (-2)"),
    ({"genres": [4, 2.5]}, "feature 'genres' is [4, 2.5], but int64 is needed"),
    ({"genres": [[4]]}, "feature 'genres' is [[4]], but int64 is needed"),
    ({"price": [1.0, 2.0]}, "feature 'price' needs one value an impression"),
    ({"historical_prices": [1.0]}, "'historical_item_ids' has 2 events, but 'historical_prices' has 1"),
    ({"historical_prices": None}, "'historical_item_ids' has 2 events, but 'historical_prices' has 0"),
    ({"historical_words": ["x", "y"]}, "feature 'historical_words' has \"x\", but a list is needed for each event"),
    ({"historical_words": "x"}, "feature 'historical_words' is \"x\", but a list is needed"),
    ({"historical_words": [["x"], ["y"]]}, "feature 'historical_word_weights' has 2 values, but 'historical_words' has 1"),
    ({"historical_word_weights": [[1.0, 2.0]]}, "feature 'historical_word_weights' has 1 lists, but 'historical_words' has 2"),
    ({"historical_images": [1.0, 2.0]}, "feature 'historical_images' has 1.0, but a list is needed for each event"),
    ({"historical_images": [None, [1.0]]}, "feature 'historical_images' has 1 number, but a vector of 2 is needed"),
    ({"historical_actions": [-2, 3]}, "feature 'historical_actions' holds a negative id (-2)"),
    ({"degrees": 1.5}, "feature 'degrees' is 1.5, but int64 is needed"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), REFUSED)
def test_a_wrong_shape_or_value_is_one_sentence(change, sentence):
    for convert in (lambda: to_example({**ROW, **change}, FEATURES), lambda: predict_tensors([ROW, {**ROW, **change}], FEATURES)):
        with pytest.raises(ValueError) as error:
            convert()
        assert str(error.value).startswith(sentence) and "\n" not in str(error.value)


def test_a_candidate_of_the_wrong_shape_is_a_sentence():
    for change, sentence in (({"image": [1.0]}, "a vector of 2 is needed"), ({"genres": "4"}, "int64 is needed")):
        with pytest.raises(ValueError, match=sentence):
            rank_tensors([ROW], [[{"candidate_item_id": 1}, {"candidate_item_id": 3, **change}]], FEATURES)


def test_integers_of_events_cannot_be_missing():
    """NaN could be sent in a tensor, but no tf.Example can hold it."""
    event = {"clicks": {"historical_seconds": {"kind": "numeric"}}}
    features = FEATURES.model_validate({**FEATURES.model_dump(), "events": event})
    fields = {name: value for name, value in ROW.items() if not name.startswith("historical_")}
    row = {**fields, "historical_item_ids": [1, 2], "historical_seconds": [-1, 5]}
    assert predict_tensors([row], features)["historical_seconds"].tolist() == [[-1.0, 5.0]]
    with pytest.raises(ValueError, match=r"'historical_seconds' is \[null, 5\], but int64 has no missing numbers: declare it as float"):
        predict_tensors([{**row, "historical_seconds": [None, 5]}], features)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"historical_word_counts": [2, 1]}, "'historical_words' has 2 values, but 'historical_word_counts' says 3"),
        ({"historical_images": [1.0, 2.0, 3.0]}, "'historical_images' has 3 numbers, which are no vectors of 2"),
    ],
)
def test_lists_of_the_data_that_do_not_fit(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        in_impression({**EXAMPLE, **change}, BY_NAME[next(iter(change)).replace("word_counts", "words")])


def test_a_hash_in_a_vocabulary_needs_the_text_of_a_line():
    """A hashed value may be any text, but not as a part of a cross whose combinations are counted."""
    changed = FEATURES.model_dump()
    changed["user"]["where"] = {"kind": "cross", "of": ["ip", "degrees"]}
    with pytest.raises(ValueError, match=r"feature 'ip' is .*: no id has a line end or NUL in it"):
        predict_tensors([ROW], FEATURES.model_validate(changed))
    changed["user"]["where"] = {"kind": "cross", "of": ["ip", "degrees"], "buckets": 10}
    assert predict_tensors([ROW], FEATURES.model_validate(changed))["ip"].tolist() == [b"::1\n"]


def test_dimensions_have_names():
    assert dimension_names(BY_NAME["price"]) == ["value"] and dimension_names(BY_NAME["price"], rank=True) == ["value", "candidates"]
    assert dimension_names(BY_NAME["image"], rank=True) == ["value", "candidates", ""]
    assert dimension_names(BY_NAME["interest_weights"]) == ["weight", "tags of interests"]
    assert dimension_names(BY_NAME["historical_words"]) == ["value", "events of clicks", "tags of historical_words"]
    assert dimension_names(BY_NAME["historical_item_ids"]) == ["event", "events of clicks"]
    assert dimension_names(BY_NAME["ip"]) == ["hash"]
