"""Attributes that tables have, in every shape of ids."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow as tf

from din_trainer.features import FeatureConfig
from din_trainer.reading.attributes import NEWEST, Attributes
from din_trainer.reading.raw_values import RawValues

ITEMS = {
    "id": [1, 1, 2, 3],
    "since": [0, 100, 0, 0],
    "category": [10, 11, 20, None],
    "price": [1.5, 2.5, 3.5, None],
    "topics": [["a"], ["a", "b"], [], ["c"]],
    "importance": [[0.5], [1.0, 2.0], [], [4.0]],
    "image": [[1.0, 2.0], [3.0, 4.0], None, [5.0, 6.0]],
}
PRICE = {"kind": "numeric", "dtype": "float", "lookup": "items", "column": "price"}
NAN = float("nan")


@pytest.fixture
def attributes(tmp_path):
    file = tmp_path / "items.parquet"
    pa.parquet.write_table(pa.table(ITEMS), file)
    config = {
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids"},
            "category": {"candidate": "candidate_category_id", "history": "historical_category_ids", "lookup": "items"},
        },
        "candidate": {
            "candidate_price": PRICE,
            "topics": {"kind": "tags", "dtype": "bytes", "weights": "importance", "lookup": "items"},
            "image": {"kind": "vector", "size": 2, "lookup": "items"},
        },
        "events": {"clicks": {"historical_prices": PRICE}},
        "lookups": {"items": {"table": str(file), "key": "id", "of": "candidate_item_id", "valid_from": "since"}},
    }
    return Attributes(FeatureConfig.model_validate(config))


def raw(candidates, history, rows):
    values = {"candidate_item_id": tf.constant(candidates, tf.int64), "historical_item_ids": tf.constant(history, tf.int64)}
    return RawValues(values, {}, {"clicks": tf.constant(rows, tf.int64)})


def test_impressions_and_events_get_the_rows_of_their_time(attributes):
    found = attributes.added_to(raw([1, 1, 9], [1, 2, 1, 3], [0, 0, 1, 1]), tf.constant([99, 100, NEWEST], tf.int64))
    assert found.values["candidate_category_id"].numpy().tolist() == [10, 11, -1]
    assert found.values["historical_category_ids"].numpy().tolist() == [10, 20, 11, -1]
    np.testing.assert_array_equal(found.values["candidate_price"], np.array([1.5, 2.5, NAN], np.float32))
    np.testing.assert_array_equal(found.values["historical_prices"], np.array([1.5, 3.5, 2.5, NAN], np.float32))
    np.testing.assert_array_equal(found.values["image"], np.array([[1, 2], [3, 4], [NAN, NAN]], np.float32))
    topics = found.tags["topics"]
    assert (topics.values.numpy().tolist(), topics.slots.numpy().tolist()) == ([b"a", b"a", b"b"], [0, 1, 1])
    assert topics.weights.numpy().tolist() == [0.5, 1.0, 2.0]


def test_the_candidates_of_a_user_are_looked_up_one_by_one(attributes):
    found = attributes.added_to(raw([[1, 2], [3, 9]], [1], [1]), tf.constant([50, 500], tf.int64))
    np.testing.assert_array_equal(found.values["candidate_price"], np.array([[1.5, 3.5], [NAN, NAN]], np.float32))
    np.testing.assert_array_equal(found.values["historical_prices"], np.array([2.5], np.float32))
    assert found.values["image"].shape == (2, 2, 2)
    topics = found.tags["topics"]
    assert (topics.values.numpy().tolist(), topics.slots.numpy().tolist()) == ([b"a", b"c"], [0, 2])


def test_without_a_time_the_newest_rows_count(attributes):
    found = attributes.added_to(raw([1], [1], [0]), None)
    assert found.values["candidate_price"].numpy().tolist() == found.values["historical_prices"].numpy().tolist() == [2.5]
    same = attributes.added_to(raw([1], [1], [0]), tf.constant([NEWEST], tf.int64))
    assert same.values["candidate_price"].numpy().tolist() == [2.5]
