"""Flat events against hand-computed values: where they are, their sums by row, and the gradient of repeated rows."""

import numpy as np
import tensorflow as tf

from din_trainer.layers.events import flatten_events, mean_by_row, repeat_by_row, sum_by_row


def test_events_are_what_is_not_padding_row_by_row():
    history = np.array([[7, 9, 0], [0, 0, 0], [5, 0, 0]])
    positions = flatten_events(history)
    np.testing.assert_array_equal(positions, [[0, 0], [0, 1], [2, 0]])
    np.testing.assert_array_equal(tf.gather_nd(history, positions), [7, 9, 5])


def test_rows_without_events_sum_to_zero():
    x, rows = tf.constant([[1.0], [2.0], [4.0]]), tf.constant([1, 1, 3])
    np.testing.assert_array_equal(sum_by_row(x, rows, 6), [[0], [3], [0], [4], [0], [0]])
    np.testing.assert_array_equal(sum_by_row(x[:0], rows[:0], 2), [[0], [0]])


def test_the_mean_of_a_row_is_over_its_own_events_and_zero_without_any():
    x, rows = tf.constant([[1.0], [2.0], [4.0]]), tf.constant([1, 1, 3])
    np.testing.assert_array_equal(mean_by_row(x, rows, 6), [[0], [1.5], [0], [4], [0], [0]])
    np.testing.assert_array_equal(mean_by_row(x[:0], rows[:0], 2), [[0], [0]])


def test_the_gradient_of_a_repeated_row_is_the_sum_over_its_events():
    x, rows = tf.constant([[1.0], [2.0], [3.0]]), tf.constant([0, 2, 2])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(repeat_by_row(x, rows) * [[1.0], [10.0], [100.0]])
    assert y == 1 + 30 + 300
    np.testing.assert_array_equal(tape.gradient(y, x), [[1], [0], [110]])
