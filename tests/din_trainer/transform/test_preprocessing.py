"""Two behaviour sequences with time gaps and weights: from raw impressions through Transform to the signatures."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.exports.transform_analysis import analyse
from din_trainer.config import DINConfig
from din_trainer.export.signatures import export
from din_trainer.features import LABEL, SAMPLE_WEIGHT, TIME_GAPS, FeatureConfig
from din_trainer.models.make_model import make_model
from din_trainer.training.initial_tables import read_counts, vocabulary_sizes
from tests.transforming import parse, to_example, with_large_weights

HOUR = 3600

# Clicked items have categories and times, items in the cart have neither.
BEHAVIOURS = {
    "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dim": 4},
    "category": {
        "candidate": "candidate_category_id",
        "history": "historical_category_ids",
        "dtype": "bytes",
        "dim": 2,
        "min_count": 2,
    },
    "cart": {"candidate": "candidate_item_id", "history": "cart_item_ids", "vocabulary": "item", "sequence": "cart"},
}
FEATURES = FeatureConfig.model_validate(
    {"history_length": 2, "time_gap": True, "weight": "importance", "behaviours": BEHAVIOURS, "user": {"user_id": {"dim": 2}}}
)

ROWS = [
    {
        "user_id": 1, "candidate_item_id": 7, "candidate_category_id": "home garden",
        "historical_item_ids": [9, 7, 0], "historical_category_ids": ["toys", "home garden", "rare thing"],
        "historical_timestamps": [40 * HOUR, 98 * HOUR, 100 * HOUR], "timestamp": 100 * HOUR + 1800,
        "cart_item_ids": [3], "importance": 0.5, "label": 1,
    },
    {
        "user_id": 1, "candidate_item_id": 0, "candidate_category_id": "home garden",
        "historical_item_ids": [], "historical_category_ids": [], "historical_timestamps": [], "timestamp": 200 * HOUR,
        "cart_item_ids": [5, 3, 7], "importance": 2.0, "label": 0,
    },
    {
        "user_id": 2, "candidate_item_id": 3, "candidate_category_id": "toys",
        "historical_item_ids": [0, 7], "historical_category_ids": ["toys", "toys"],
        "historical_timestamps": [0, 9 * HOUR], "timestamp": 10 * HOUR, "cart_item_ids": [], "importance": 1.0, "label": 0,
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def transform_output(tmp_path_factory):
    return analyse(ROWS, FEATURES, tmp_path_factory.mktemp("transform"), with_counts=True)


@pytest.fixture(scope="module")
def transformed(transform_output):
    return transform_output.transform_raw_features(parse(ROWS, FEATURES))


def occurrences(*names):
    return Counter(v for row in ROWS for name in names for v in (row[name] if isinstance(row[name], list) else [row[name]]))


def test_sequences_of_one_vocabulary_share_their_ids(transform_output, transformed):
    # By count over candidates, clicks and carts together: 7 (4), 3 and 0 (3 each), 9 and 5 (1 each); equal counts in falling order.
    assert transform_output.vocabulary_by_name("item") == [b"7", b"3", b"0", b"9", b"5"]
    np.testing.assert_array_equal(transformed["candidate_item_id"], [1, 3, 2])
    np.testing.assert_array_equal(transformed["historical_item_ids"], [[1, 3], [0, 0], [3, 1]])  # the last two events
    np.testing.assert_array_equal(transformed["cart_item_ids"], [[2, 0], [2, 1], [0, 0]])
    np.testing.assert_array_equal(transformed["historical_category_ids"], [[2, 3], [0, 0], [1, 1]])  # "rare thing" is seen once


def test_time_gaps_are_numpy_s_and_stay_with_their_events(transformed):
    gaps = [np.log1p((row["timestamp"] - np.array(row["historical_timestamps"], float)) / HOUR) for row in ROWS]
    everything = np.concatenate(gaps)
    scaled = [(gap - everything.mean()) / everything.std() for gap in gaps]
    expected = [scaled[0][1:], [0, 0], scaled[2]]  # the oldest of the first row's three events is dropped, with its gap
    np.testing.assert_allclose(transformed[TIME_GAPS], expected, rtol=1e-6)
    assert transformed[TIME_GAPS].dtype == tf.float32


def test_weights_pass_through(transformed):
    np.testing.assert_array_equal(transformed[SAMPLE_WEIGHT], np.float32([0.5, 2.0, 1.0]))
    assert "importance" not in transformed


def test_counts_are_of_the_ids_line_by_line(transform_output):
    items = occurrences("candidate_item_id", "historical_item_ids", "cart_item_ids")
    categories = occurrences("candidate_category_id", "historical_category_ids")
    assert transform_output.vocabulary_by_name("category") == [b"toys", b"home garden"]
    np.testing.assert_array_equal(read_counts("item", 7, transform_output), [0, *(items[i] for i in (7, 3, 0, 9, 5)), 0])
    np.testing.assert_array_equal(read_counts("category", 4, transform_output), [0, categories["toys"], categories["home garden"], 0])
    np.testing.assert_array_equal(read_counts("user_id", 4, transform_output), [0, 2, 1, 0])


@pytest.fixture(scope="module")
def model(transform_output):
    sizes = vocabulary_sizes(FEATURES.vocabularies, transform_output)
    assert sizes == {"item": 7, "category": 4, "user_id": 4}
    model = make_model(DINConfig(features=FEATURES), sizes)
    return with_large_weights(model)


@pytest.fixture(scope="module")
def signatures(model, transform_output, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "1"
    export(model, transform_output, str(folder))
    loaded = tf.saved_model.load(str(folder))
    yield loaded.signatures  # while `loaded` keeps the tables alive


def score(signatures, rows):
    return signatures["serving_default"](examples=tf.constant([to_example(row) for row in rows]))["probability"].numpy()


def raw_tensors(rows, clicks=4, cart=6):
    def history(name, padding, length):
        return [row[name] + [padding] * (length - len(row[name])) for row in rows]

    scalars = ("user_id", "candidate_item_id", "timestamp")
    return {name: tf.constant([row[name] for row in rows], tf.int64) for name in scalars} | {
        "candidate_category_id": tf.constant([row["candidate_category_id"] for row in rows]),
        "historical_item_ids": tf.constant(history("historical_item_ids", -1, clicks), tf.int64),
        "historical_category_ids": tf.constant(history("historical_category_ids", "", clicks)),
        "historical_timestamps": tf.constant(history("historical_timestamps", -1, clicks), tf.int64),
        "cart_item_ids": tf.constant(history("cart_item_ids", -1, cart), tf.int64),
    }


def test_serving_scores_are_the_model_s_own(model, transformed, signatures):
    expected = tf.sigmoid(model(dict(transformed)))
    assert len(set(np.round(expected, 4))) == 3
    np.testing.assert_allclose(score(signatures, ROWS), expected, atol=1e-6)


@pytest.mark.parametrize(("clicks", "cart"), [(4, 6), (9, 3)])
def test_raw_tensors_score_as_examples_do(signatures, clicks, cart):
    """Each sequence may be padded to another length."""
    scores = signatures["predict"](**raw_tensors(ROWS, clicks, cart))["probability"]
    np.testing.assert_allclose(scores, score(signatures, ROWS), atol=1e-6)


def test_an_event_at_the_epoch_is_an_event(signatures):
    """Its time is 0, which is not padding: only the history decides what is padding."""
    rows = [{**ROWS[2], "historical_timestamps": [-1, 0]}]
    np.testing.assert_allclose(signatures["predict"](**raw_tensors(rows))["probability"], score(signatures, rows), atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"historical_timestamps": [5 * HOUR, 9 * HOUR]},
        {"timestamp": 3000 * HOUR},
        {"cart_item_ids": [9]},
        {"historical_item_ids": [], "historical_category_ids": [], "historical_timestamps": []},
    ],
)
def test_each_sequence_and_its_times_matter(signatures, change):
    assert abs(score(signatures, [{**ROWS[2], **change}]) - score(signatures, ROWS[2:]))[0] > 1e-4


def test_only_training_reads_weights_and_labels(signatures):
    predict = signatures["predict"].structured_input_signature[1]
    assert set(predict) == {column.name for column in FEATURES.columns}
    bare = [{name: value for name, value in row.items() if name not in ("importance", "label")} for row in ROWS]
    np.testing.assert_array_equal(score(signatures, bare), score(signatures, ROWS))
    seen = signatures["transform_features"](examples=tf.constant([to_example(row) for row in bare]))
    assert TIME_GAPS in seen and SAMPLE_WEIGHT not in seen and LABEL not in seen
