"""Sums, means and √n of tags, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.layers.bags import pool

X = tf.constant([[1.0, 2], [3, 4], [5, 6], [7, 8]])
SLOTS = tf.constant([1, 1, 3, 4], tf.int64)  # slots 0, 2 and 5 have no tags
WEIGHTS = tf.constant([1.0, 3, 0, 2])  # all weights of slot 3 are 0
ZERO = [0.0, 0]


@pytest.mark.parametrize(
    "combine, weights, expected",
    [
        ("sum", None, [ZERO, [4, 6], ZERO, [5, 6], [7, 8], ZERO]),
        ("mean", None, [ZERO, [2, 3], ZERO, [5, 6], [7, 8], ZERO]),
        ("sqrtn", None, [ZERO, [4 / 2**0.5, 6 / 2**0.5], ZERO, [5, 6], [7, 8], ZERO]),
        ("sum", WEIGHTS, [ZERO, [10, 14], ZERO, ZERO, [14, 16], ZERO]),
        ("mean", WEIGHTS, [ZERO, [2.5, 3.5], ZERO, ZERO, [7, 8], ZERO]),
        ("sqrtn", WEIGHTS, [ZERO, [10 / 10**0.5, 14 / 10**0.5], ZERO, ZERO, [7, 8], ZERO]),
    ],
)
def test_tags_of_each_slot(combine, weights, expected):
    np.testing.assert_allclose(pool(X, SLOTS, weights, 6, combine), expected, rtol=1e-6)


@pytest.mark.parametrize("combine", ["sum", "mean", "sqrtn"])
def test_no_tags_at_all(combine):
    pooled = pool(tf.zeros((0, 2)), tf.zeros(0, tf.int64), None, 3, combine)
    np.testing.assert_array_equal(pooled, np.zeros((3, 2)))


@pytest.mark.parametrize("combine", ["mean", "sqrtn"])
def test_gradients_of_weights_that_are_all_0_are_finite(combine):
    with tf.GradientTape() as tape:
        tape.watch(X)
        loss = tf.reduce_sum(pool(X, SLOTS, WEIGHTS, 6, combine))
    gradient = tape.gradient(loss, X).numpy()
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[2], ZERO)
    assert gradient[[0, 1, 3]].all()
