"""One meaning of "no value": training (Transform's graph and the model) and every way into the export agree on each way to write it."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.exports.transform_analysis import analyse
from components.serving.model.impression_tensors import predict_tensors
from din_trainer.config import DINConfig
from din_trainer.export.signatures import export
from din_trainer.features import LABEL, FeatureConfig
from din_trainer.models.make_model import make_model
from din_trainer.training.initial_tables import read_counts, vocabulary_sizes
from tests.transforming import as_tensors, parse, to_example, with_large_weights

NAN = float("nan")
FEATURES = FeatureConfig.model_validate(
    {
        "history_length": 3,
        "time_gap": True,
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dim": 4, "oov_buckets": 2},
            "category": {"candidate": "candidate_category_id", "history": "historical_category_ids", "dtype": "bytes", "dim": 2},
            "word": {"candidate": "candidate_word", "history": "searched_words", "dtype": "bytes", "dim": 2, "sequence": "searches"},
        },
        "user": {"user_id": {"dtype": "bytes", "dim": 2}, "age": {"dim": 2, "oov_buckets": 2}},
        "context": {
            "device": {"dtype": "bytes", "dim": 2, "oov_buckets": 3},
            "hour": {"kind": "numeric"},
            "price": {"kind": "numeric", "dtype": "float"},
        },
    }
)
FULL = {
    "user_id": "u", "age": 30, "candidate_item_id": 7, "candidate_category_id": "a", "candidate_word": "x",
    "historical_item_ids": [9, 7, 0, 7], "historical_category_ids": ["b", "a", "b", "a"], "searched_words": ["y", "x"],
    "historical_timestamps": [10, 2_000, 9_000, 20_000], "timestamp": 30_000, "device": "phone", "hour": -1, "price": 1.0, "label": 1,
}  # fmt: skip
TRAIN = [  # "no value" is what occurs most often, in every form
    FULL,
    {**FULL, "age": -1, "device": "", "hour": 3, "price": NAN, "label": 0},
    {**FULL, "age": -1, "device": "", "hour": None, "price": NAN, "label": 0},
    {**FULL, "age": None, "device": None, "hour": None, "price": None, "label": 0},
    {**FULL, "age": 41, "device": "desk", "hour": 5, "price": 3.0, "label": 1},
]
MISSING = {"age": (-1, None), "device": ("", None), "hour": (None,), "price": (NAN, None)}
CELLS = [(name, form) for name, forms in MISSING.items() for form in forms]


@pytest.fixture(scope="module")
def transform_output(tmp_path_factory):
    return analyse(TRAIN, FEATURES, tmp_path_factory.mktemp("transform"), with_counts=True)


@pytest.fixture(scope="module")
def model(transform_output):
    return with_large_weights(make_model(DINConfig(features=FEATURES), vocabulary_sizes(FEATURES.vocabularies, transform_output)))


@pytest.fixture(scope="module")
def exported(model, transform_output, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "1"
    export(model, transform_output, str(folder))
    return tf.saved_model.load(str(folder))


def run(exported, signature, arrays):
    inputs = as_tensors(arrays)
    return exported.signatures[signature](**inputs)["probability"].numpy().ravel()


def raw_tensors(row, width=8):
    """The inputs of `predict` for an impression that may hold padding. `predict_tensors` refuses such impressions."""
    numbers = {"hour": np.float64, "price": np.float32}
    tensors = {}
    for column in FEATURES.columns:
        value, missing = row.get(column.name), NAN if column.name in numbers else -1 if column.dtype == "int64" else ""
        dtype = numbers.get(column.name, np.int64 if column.dtype == "int64" else object)
        if column.presence == "sequence":
            tensors[column.name] = np.array([(value or []) + [missing] * (width - len(value or []))], dtype)
        else:
            tensors[column.name] = np.array([missing if value in (None, []) else value], dtype)
    return tensors


def serve(exported, row):
    """The score of an impression through the three scoring signatures."""
    tensors = raw_tensors(row)
    candidates = {column.name for column in FEATURES.columns if column.role == "candidate"}
    return np.concatenate(
        [
            run(exported, "serving_default", {"examples": np.array([to_example(row)], object)}),
            run(exported, "predict", tensors),
            run(exported, "rank", {name: x[:, None] if name in candidates else x for name, x in tensors.items()}),
        ]
    )


def train(model, transform_output, row):
    """The score of an impression as in training."""
    transformed = transform_output.transform_raw_features(parse([row], FEATURES))
    return tf.sigmoid(model({name: values for name, values in transformed.items() if name != LABEL})).numpy()


def test_what_is_missing_is_in_no_vocabulary_and_in_no_scale(transform_output):
    """By hand: ages 30 and 41 once each; hours −1, 3, 5 (a number may be −1); prices 1 and 3."""
    assert sorted(transform_output.vocabulary_by_name("age")) == [b"30", b"41"]
    assert sorted(transform_output.vocabulary_by_name("device")) == [b"desk", b"phone"]
    np.testing.assert_array_equal(read_counts("age", 5, transform_output), [0, 1, 1, 0, 0])
    outputs = transform_output.transform_raw_features(parse(TRAIN, FEATURES))
    hours = np.array([-1, 3, 5])
    np.testing.assert_allclose(
        outputs["hour"], [*(hours[:2] - hours.mean()) / hours.std(), 0, 0, (5 - hours.mean()) / hours.std()], rtol=1e-6
    )
    np.testing.assert_allclose(outputs["price"], [-1, 0, 0, 0, 1], rtol=1e-6)


@pytest.mark.parametrize(("name", "form"), CELLS)
def test_every_form_of_a_missing_value_scores_as_its_absence(exported, model, transform_output, name, form):
    absent = {key: value for key, value in FULL.items() if key != name}
    expected = train(model, transform_output, absent)
    assert abs(train(model, transform_output, FULL) - expected) > 1e-4
    np.testing.assert_allclose(train(model, transform_output, {**FULL, name: form}), expected, atol=1e-7)
    for row in (absent, {**FULL, name: form}, {**FULL, name: []}):
        np.testing.assert_allclose(serve(exported, row), np.repeat(expected, 3), atol=1e-6)
        np.testing.assert_allclose(run(exported, "predict", predict_tensors([row], FEATURES)), expected, atol=1e-6)


@pytest.mark.parametrize("with_list", [True, False])
@pytest.mark.parametrize(
    ("name", "kind"),
    [("age", "int64_list"), ("price", "float_list"), ("historical_item_ids", "int64_list"), ("searched_words", "bytes_list")],
)
def test_an_empty_feature_of_a_tf_example_is_missing(exported, model, transform_output, name, kind, with_list):
    """Some writers write a missing value as an empty list, or as a feature without a list."""
    gone = (name,) if name != "historical_item_ids" else ("historical_item_ids", "historical_category_ids", "historical_timestamps")
    absent = {key: value for key, value in FULL.items() if key not in gone}
    example = tf.train.Example.FromString(to_example(absent))
    feature = example.features.feature[name]
    if with_list:
        getattr(feature, kind).SetInParent()
    serialized = example.SerializeToString()
    assert name in tf.train.Example.FromString(serialized).features.feature
    scores = run(exported, "serving_default", {"examples": np.array([serialized], object)})
    np.testing.assert_allclose(scores, train(model, transform_output, absent), atol=1e-6)


ITEMS, CATEGORIES, TIMES = "historical_item_ids", "historical_category_ids", "historical_timestamps"
REAL = {ITEMS: [9, 7, 0, 7], CATEGORIES: ["b", "a", "b", "a"], TIMES: [10, 2_000, 9_000, 20_000], "searched_words": ["y", "x"]}
PADDED = {
    "after": {
        ITEMS: [9, 7, 0, 7, -1, -1], CATEGORIES: ["b", "a", "b", "a", "", ""], TIMES: [10, 2_000, 9_000, 20_000, -1, -1],
        "searched_words": ["y", "x", "", "", ""],
    },
    "before": {
        ITEMS: [-1, -1, 9, 7, 0, 7], CATEGORIES: ["", "", "b", "a", "b", "a"], TIMES: [-1, -1, 10, 2_000, 9_000, 20_000],
        "searched_words": ["", "", "y", "x"],
    },
    "between": {
        ITEMS: [9, -1, 7, -1, 0, -1, 7], CATEGORIES: ["b", "z", "a", "", "b", "", "a"], TIMES: [10, 5, 2_000, 0, 9_000, -1, 20_000],
        "searched_words": ["y", "", "", "x"],
    },
}  # fmt: skip


@pytest.mark.parametrize("where", PADDED)
def test_a_missing_event_is_padding_in_tensors_and_in_tf_examples(exported, model, transform_output, where):
    """Case 16: it takes no place among the most recent events, wherever it stands, and its partners do not count."""
    expected = train(model, transform_output, {**FULL, **REAL})
    np.testing.assert_allclose(serve(exported, {**FULL, **PADDED[where]}), np.repeat(expected, 3), atol=1e-6)


def test_a_history_of_padding_alone_is_empty(exported, model, transform_output):
    empty = {**FULL, ITEMS: [], CATEGORIES: [], TIMES: [], "searched_words": []}
    padded = {**FULL, ITEMS: [-1, -1], CATEGORIES: ["", ""], TIMES: [-1, -1], "searched_words": [""]}
    absent = {key: value for key, value in FULL.items() if key not in REAL}
    expected = np.repeat(train(model, transform_output, empty), 3)
    assert abs(train(model, transform_output, FULL) - expected[0]) > 1e-4
    for row in (empty, padded, absent):
        np.testing.assert_allclose(serve(exported, row), expected, atol=1e-6)


def test_an_event_without_a_category_keeps_its_place(exported, model, transform_output):
    """The first history of a sequence says which events are real. The category counts as unknown, in training, too."""
    row = {**FULL, CATEGORIES: ["b", "a", "", "a"]}
    expected = train(model, transform_output, row)
    assert abs(train(model, transform_output, FULL) - expected) > 1e-5
    np.testing.assert_allclose(serve(exported, row), np.repeat(expected, 3), atol=1e-6)
