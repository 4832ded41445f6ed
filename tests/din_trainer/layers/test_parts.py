"""The parts of a training batch, by hand; and dropout on them."""

import numpy as np
import tensorflow as tf

from din_trainer.layers import parts
from din_trainer.layers.dropout import Dropout
from din_trainer.layers.parts import Histories, histories_in_parts, impressions_in_parts


def test_impressions_are_cut_evenly(monkeypatch):
    monkeypatch.setattr(parts, "PARTS", 3)
    cut = impressions_in_parts(tf.reshape(tf.range(8), [4, 2]))
    assert [x.numpy().tolist() for x in cut] == [[[0, 1]], [[2, 3]], [[4, 5], [6, 7]]]
    assert [len(x) for x in impressions_in_parts(tf.zeros([1, 2]))] == [0, 0, 1]


def test_a_history_stays_in_one_part(monkeypatch):
    """Four impressions with 2, 0, 1 and 3 events: two with 2 events, and two with 4, whose rows begin at 0 again."""
    monkeypatch.setattr(parts, "PARTS", 2)
    query, keys = tf.reshape(tf.range(4.0), [4, 1]), tf.reshape(tf.range(10.0, 16.0), [6, 1])
    first, second = histories_in_parts(Histories(query, keys, tf.constant([0, 0, 2, 3, 3, 3], tf.int64), -keys))
    assert first.query.numpy().ravel().tolist() == [0, 1] and second.query.numpy().ravel().tolist() == [2, 3]
    assert first.keys.numpy().ravel().tolist() == [10, 11] and second.keys.numpy().ravel().tolist() == [12, 13, 14, 15]
    assert first.rows.numpy().tolist() == [0, 0] and second.rows.numpy().tolist() == [0, 1, 1, 1]
    np.testing.assert_array_equal(second.event_fields, -second.keys)
    assert [part.event_fields for part in histories_in_parts(Histories(query, keys, tf.zeros([6], tf.int64), None))] == [None, None]


def test_dropout_keeps_each_number_with_its_probability_and_scales_it():
    layer = Dropout(0.25, seed=1)
    whole = [tf.fill([3000, 4], 3.0), tf.fill([1000, 4], 3.0)]
    assert [len(x) for x in layer(whole, training=True)] == [3000, 1000]
    values = np.concatenate([x.numpy() for x in layer(whole, training=True)])
    assert sorted(set(values.ravel().tolist())) == [0.0, 4.0]
    assert abs((values == 0).mean() - 0.25) < 0.02
    for same, x in zip(layer(whole), whole, strict=True):
        np.testing.assert_array_equal(same, x)
