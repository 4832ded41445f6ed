"""The two layers of the paper that Keras does not have: Dice and the attention unit.

Both work on real events alone, flat: of a batch's histories only the E events that happened are there, one after the other, each with the
row (the impression) that it belongs to. Padding then costs nothing and can shift no statistic. `flatten_events` makes them from padded ids.
"""

from typing import Any

import tensorflow as tf
from keras import ops

from din_trainer.features import PADDING_ID


def flatten_events(history: Any) -> Any:
    """Where the events of padded histories are.

    Args:
        history: (B, L) ids; `PADDING_ID` is no event.

    Returns:
        positions (E, 2) int64: row and column of each event, row by row. `tf.gather_nd(history, positions)` are the events themselves.
    """
    return tf.where(ops.not_equal(history, PADDING_ID))


def sum_by_row(x: Any, rows: Any, count: Any) -> Any:
    """Sums the events of each row: (E, …), (E,) ascending -> (count, …); zero where there is none."""
    sums = tf.math.segment_sum(x, rows)  # up to the last row that has an event; many times faster than the unsorted kind
    behind = tf.constant([[0, 1], *[[0, 0]] * (len(x.shape) - 1)])
    padded = tf.pad(sums, behind * (count - rows_of(sums)))
    padded.set_shape([None, *x.shape[1:]])
    return padded


def rows_of(x: Any) -> Any:
    """The first dimension, int32. (`tf.shape(x)[0]` is three more operations, which count where a request is one impression.)"""
    return tf.unstack(tf.shape(x), len(x.shape))[0]


@tf.custom_gradient
def repeat_by_row(x: tf.Tensor, rows: tf.Tensor) -> Any:
    """The row of each event: (B, D), (E,) ascending -> (E, D). `tf.gather`, but for the gradient, which is `sum_by_row`."""
    return tf.gather(x, rows), lambda dy: (sum_by_row(dy, rows, tf.shape(x)[0]), None)
