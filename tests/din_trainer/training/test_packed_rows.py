"""Features survive packing bit by bit."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.features import EVENT_COUNTS
from din_trainer.training.packed_rows import PackedRows

IDS = np.array([0, 1, 2**31 - 1], np.int64)
NUMBERS = np.array([[0.1, -0.0], [np.inf, 1e-45], [3.5, -7.25]], np.float32)


def read(serialized):
    rows = tf.strings.to_number(serialized, tf.int64)
    return {"numbers": tf.gather(NUMBERS, rows), "id": tf.gather(IDS, rows), "history": tf.gather(np.stack([IDS, IDS[::-1]], axis=1), rows)}


def test_rows_hold_the_features_bit_by_bit():
    rows = PackedRows(read)
    packed = rows.pack(tf.constant(["2", "0", "1"]))
    assert packed.fixed.dtype == tf.int32 and packed.fixed.shape == (3, 5) and packed.events is None
    features = rows.unpack(packed)
    np.testing.assert_array_equal(features["id"], IDS[[2, 0, 1]])
    np.testing.assert_array_equal(features["history"], [[2**31 - 1, 0], [0, 2**31 - 1], [1, 1]])
    assert features["numbers"].numpy().tobytes() == NUMBERS[[2, 0, 1]].tobytes()
    assert {name: x.dtype for name, x in features.items()} == {"id": tf.int64, "history": tf.int64, "numbers": tf.float32}
    np.testing.assert_array_equal(rows.column(packed, "id"), IDS[[2, 0, 1]])


def test_other_types_and_lengths_are_refused():
    with pytest.raises(ValueError, match="feature 'text' must be int64 or float32"):
        PackedRows(lambda serialized: {"text": serialized})
    with pytest.raises(ValueError, match="feature 'list' must be int64 or float32 and of a fixed length"):
        PackedRows(lambda serialized: {"list": tf.strings.to_number(tf.strings.split(serialized).to_tensor(), tf.int64)})


WIDE = np.arange(12, dtype=np.int64).reshape(3, 2, 2)
VECTORS = np.array([[[0.5], [-0.0]], [[np.nan], [1e-45]], [[np.inf], [2.5]]], np.float32)


def read_wide(serialized):
    rows = tf.strings.to_number(serialized, tf.int64)
    return {
        "id": tf.gather(IDS, rows),
        "tags": tf.gather(WIDE, rows),
        "vectors": tf.gather(VECTORS, rows),
        "one": tf.gather(NUMBERS[:, :1], rows),
    }


def test_rows_hold_tags_and_vectors_of_events_bit_by_bit():
    """(N, L, most) and (N, L, size); a vector of one number stays (N, 1)."""
    rows = PackedRows(read_wide)
    packed = rows.pack(tf.constant(["1", "2", "0", "1"]))
    assert packed.fixed.shape == (4, 1 + 4 + 2 + 1)
    features = rows.unpack(packed)
    np.testing.assert_array_equal(features["tags"], WIDE[[1, 2, 0, 1]])
    assert features["vectors"].numpy().tobytes() == VECTORS[[1, 2, 0, 1]].tobytes() and features["vectors"].shape == (4, 2, 1)
    assert features["one"].shape == (4, 1) and features["id"].shape == (4,)
    assert rows.unpack(packed.take(tf.zeros([0], tf.int64)))["vectors"].shape == (0, 2, 1)


EVENTS = [[5, 7, 6], [], list(range(1000))]


def read_events(serialized):
    """One long history among short ones: ids (N, events), and a vector of each event, (N, events, 2)."""
    rows = tf.strings.to_number(serialized, tf.int64)
    events = tf.gather(tf.ragged.constant(EVENTS, tf.int64), rows)
    return {
        "id": tf.gather(IDS, rows),
        "history": events,
        "prices": events.with_values(tf.stack([tf.cast(events.values, tf.float32)] * 2, 1) / 3),
    }


def test_a_long_history_pads_no_other_one():
    rows = PackedRows(read_events)
    packed = rows.pack(tf.constant(["1", "2", "0", "1"]))
    assert packed.fixed.shape == (4, 1) and packed.events.shape == (1003, 3)
    assert packed.size == 4 * (4 + 3 * 1003) + 8 * 4
    taken = packed.take(tf.constant([3, 2, 0, 2]))
    features = rows.unpack(taken)
    assert features[EVENT_COUNTS].numpy().tolist() == [0, 3, 0, 3]
    assert features["history"].numpy().tolist() == [5, 7, 6] * 2
    assert features["prices"].numpy().tolist() == np.repeat(np.array([[5, 7, 6] * 2], np.float32).T / 3, 2, axis=1).tolist()
    np.testing.assert_array_equal(features["id"], IDS[[1, 0, 1, 0]])
    assert rows.unpack(rows.none())["history"].shape == (0,)
