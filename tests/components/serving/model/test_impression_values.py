"""Impressions as dicts: what their values mean, and the sentence for each value that no impression can have."""

import numpy as np
import pytest

from components.serving.model.impression_tensors import inputs_of, predict_tensors, rank_tensors, to_example
from din_trainer.features import FeatureConfig

NAN = float("nan")
FEATURES = FeatureConfig.model_validate(
    {
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids"},
            "word": {"candidate": "candidate_word", "history": "historical_words", "dtype": "bytes"},
            "cart": {"candidate": "candidate_item_id", "history": "cart_item_ids", "vocabulary": "item", "sequence": "cart"},
        },
        "user": {"user_id": {"dtype": "bytes"}, "age": {}},
        "context": {"device": {"dtype": "bytes"}, "hour": {"kind": "numeric"}, "price": {"kind": "numeric", "dtype": "float"}},
    }
)
ROW = {
    "user_id": "u", "age": 30, "candidate_item_id": 7, "candidate_word": "x", "historical_item_ids": [9, 0], "historical_words": ["y", "x"],
    "cart_item_ids": [5], "device": "phone", "hour": -1, "price": 1.5,
}  # fmt: skip


def example(row):
    import tensorflow as tf

    features = tf.train.Example.FromString(to_example(row, FEATURES)).features.feature
    return {name: list(getattr(feature, feature.WhichOneof("kind")).value) for name, feature in features.items()}


def test_an_impression_as_tensors_and_as_a_tf_example_by_hand():
    tensors = predict_tensors([ROW], FEATURES, pad_to=3)
    assert {name: values.tolist() for name, values in tensors.items()} == {
        "user_id": [b"u"], "age": [30], "candidate_item_id": [7], "candidate_word": [b"x"], "historical_item_ids": [[9, 0, -1]],
        "historical_words": [[b"y", b"x", b""]], "cart_item_ids": [[5, -1, -1]], "device": [b"phone"], "hour": [-1.0], "price": [1.5],
    }  # fmt: skip
    assert example(ROW) == {
        "user_id": [b"u"], "age": [30], "candidate_item_id": [7], "candidate_word": [b"x"], "historical_item_ids": [9, 0],
        "historical_words": [b"y", b"x"], "cart_item_ids": [5], "device": [b"phone"], "hour": [-1], "price": [1.5],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "forms", "in_tensors"),
    [
        ("age", (None, [], -1), -1),
        ("device", (None, [], "", b""), b""),
        ("hour", (None, [], NAN), NAN),
        ("price", (None, [], NAN), NAN),
        ("historical_item_ids", (None, []), None),
    ],
)
def test_every_form_of_a_missing_value_is_the_same(name, forms, in_tensors):
    row = {**ROW, "historical_words": []} if name == "historical_item_ids" else ROW
    absent = {key: value for key, value in row.items() if key != name}
    for other in (absent, *({**row, name: form} for form in forms)):
        assert name not in example(other)
        values = predict_tensors([other], FEATURES)[name]
        assert (
            (values == -1).all()
            if in_tensors is None
            else np.array_equal(values, np.array([in_tensors], values.dtype), equal_nan=in_tensors is NAN)
        )


REFUSED = [
    ("user_id", None, "feature 'user_id' needs one value an impression"),
    ("user_id", "", "feature 'user_id' needs one value an impression"),
    ("candidate_item_id", -1, "feature 'candidate_item_id' needs one value an impression"),
    ("candidate_item_id", [7, 8], "feature 'candidate_item_id' needs one value an impression"),
    ("age", [3, 4], "feature 'age' needs one value an impression"),
    ("age", -2, "feature 'age' holds a negative id (-2)"),
    ("age", True, "feature 'age' is true, but int64 is needed"),
    ("age", 3.5, "feature 'age' is 3.5, but int64 is needed"),
    ("age", NAN, "feature 'age' is NaN, but int64 is needed"),
    ("age", {"a": 1}, "feature 'age' is {\"a\": 1}, but int64 is needed"),
    ("age", 2**63, "feature 'age' has a value beyond 64 bits"),
    ("hour", -(2**63) - 1, "feature 'hour' has a value beyond 64 bits"),
    ("hour", 2.5, "feature 'hour' is 2.5, but int64 is needed"),
    ("price", "1", "feature 'price' is \"1\", but float is needed"),
    ("price", float("inf"), "feature 'price' is Infinity, but a number that float32 can hold is needed"),
    ("price", 1e39, "feature 'price' is 1e+39, but a number that float32 can hold is needed"),
    ("device", 5, "feature 'device' is 5, but bytes is needed"),
    ("device", "a\n", "feature 'device' is \"a\\n\": no id has a line end or NUL in it"),
    ("device", "\ud800", "feature 'device' is \"\\ud800\", which is no text in UTF-8"),
    ("historical_item_ids", 9, "feature 'historical_item_ids' is 9, but a list is needed"),
    ("historical_words", "y x", "feature 'historical_words' is \"y x\", but a list is needed"),
    ("historical_item_ids", [9, [0]], "feature 'historical_item_ids' is [9, [0]], but int64 is needed"),
    ("historical_item_ids", [9, None], "feature 'historical_item_ids' is [9, null], but int64 is needed"),
    ("historical_item_ids", [9, -1], "feature 'historical_item_ids' holds -1, which means no event"),
    ("historical_item_ids", [9, -5], "feature 'historical_item_ids' holds a negative id (-5)"),
    ("historical_words", ["y", ""], "feature 'historical_words' holds \"\", which means no event"),
    ("historical_item_ids", [9, 0, 1], "'historical_item_ids' has 3 events, but 'historical_words' has 2"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), REFUSED)
def test_what_no_impression_can_have_is_one_sentence(name, value, sentence):
    row = {**ROW, name: value}
    candidate = {key: row[key] for key in ("candidate_item_id", "candidate_word")}
    for convert in (
        lambda: to_example(row, FEATURES),
        lambda: predict_tensors([ROW, row], FEATURES),
        lambda: rank_tensors([ROW, row], [[candidate], [candidate]], FEATURES),
    ):
        with pytest.raises(ValueError) as error:
            convert()
        assert str(error.value).startswith(sentence) and "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize("change", [{"timestamp": -1}, {"historical_timestamps": [5, -1]}])
def test_times_are_not_negative(change):
    features = FeatureConfig.model_validate({**FEATURES.model_dump(), "time_gap": True})
    row = {**ROW, "timestamp": 10, "historical_timestamps": [5, 6]}
    assert predict_tensors([row], features)["historical_timestamps"].tolist() == [[5, 6]]
    with pytest.raises(ValueError, match=rf"^feature '{next(iter(change))}' holds the time -1: times are unix seconds, 0 or more$"):
        predict_tensors([row | change], features)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("historical_item_ids", "historical_items"),
        ("historical_item_ids", "historicalItemIds"),
        ("cart_item_ids", "cart_items_ids"),
        ("device", "devices"),
        ("price", "Price"),
    ],
)
def test_a_misspelt_key_is_not_taken_for_a_missing_value(name, written):
    """Case 26: `historical_items` was scored as an empty history, without a word."""
    row = {written if key == name else key: value for key, value in ROW.items()}
    if name == "historical_item_ids":
        row["historical_words"] = []
    with pytest.raises(
        ValueError, match=rf"^the model does not read '{written}', but '{name}', which is not there: rename it, or add '{name}'$"
    ):
        predict_tensors([row], FEATURES)
    predict_tensors([{**row, name: None}], FEATURES)


def test_keys_that_no_model_reads_are_legal():
    row = {key: value for key, value in ROW.items() if key not in ("historical_item_ids", "historical_words", "age")}
    more = {
        "age_2": 1,
        "age2": 1,
        "words": [],
        "label": 1,
        "timestamp": 5,
        "request_id": "r",
        "historical_timestamps": [1],
        "probability": 0.5,
        "title": "x",
        "stage": 2,
    }
    assert predict_tensors([row | more], FEATURES)["historical_item_ids"].tolist() == [[-1]]


def test_the_histories_of_a_served_model_may_differ_in_length():
    """The signatures of an older export do not say which of them are aligned."""
    unknown = [read._replace(sequence="") for read in inputs_of(FEATURES)]
    tensors = predict_tensors([{**ROW, "historical_item_ids": [9]}], unknown)
    assert tensors["historical_item_ids"].tolist() == [[9, -1]] and tensors["historical_words"].tolist() == [[b"y", b"x"]]


def test_fewer_candidates_are_padded():
    candidates = [[{"candidate_item_id": 1, "candidate_word": "a"}, {"candidate_item_id": 2, "candidate_word": "b"}], []]
    tensors = rank_tensors([ROW, ROW], candidates, FEATURES)
    assert tensors["candidate_item_id"].tolist() == [[1, 2], [-1, -1]]
    assert tensors["candidate_word"].tolist() == [[b"a", b"b"], [b"", b""]]
    assert tensors["user_id"].tolist() == [b"u", b"u"]
