"""Flat events: the histories of a batch without padding, and sums and means over the events of each impression.

The E events of all histories stand one after the other, each with its row, which is the impression that it belongs to. So padding costs
nothing, and does not change the statistics of Dice.
"""

from typing import Any

import tensorflow as tf
from keras import ops

from din_trainer.features import PADDING_ID


def flatten_events(history: Any) -> Any:
    """Finds the events of padded histories.

    Args:
        history: (B, L) ids, where `PADDING_ID` is not an event.

    Returns:
        positions (E, 2) int64: row and column of each event, row by row. `tf.gather_nd(history, positions)` gives the events.
    """
    return tf.where(ops.not_equal(history, PADDING_ID))


def sum_by_row(x: Any, rows: Any, count: Any) -> Any:
    """Sums the events of each row: (E, …), (E,) ascending -> (count, …). A row without events is zero."""
    return _to_rows(tf.math.segment_sum(x, rows), count)  # many times faster than unsorted_segment_sum


def mean_by_row(x: Any, rows: Any, count: Any) -> Any:
    """The mean of the events of each row: (E, …), (E,) ascending -> (count, …). A row without events is zero."""
    return _to_rows(tf.math.segment_mean(x, rows), count)


def _to_rows(segments: Any, count: Any) -> Any:
    """Adds what segments lack, which end at the last row with an event: (segments, …) -> (count, …)."""
    behind = tf.constant([[0, 1], *[[0, 0]] * (len(segments.shape) - 1)])
    padded = tf.pad(segments, behind * (count - rows_of(segments)))
    padded.set_shape([None, *segments.shape[1:]])
    return padded


def rows_of(x: Any) -> Any:
    """The first dimension, int32. `tf.shape(x)[0]` takes three more operations, which matters for a request of one impression."""
    return tf.unstack(tf.shape(x), len(x.shape))[0]


def splits_of(rows: Any, count: Any) -> Any:
    """Where the events of each row begin: (E,) ascending -> (count + 1,) int64, the last of them E."""
    return tf.searchsorted(rows, tf.range(tf.cast(count, rows.dtype) + 1), out_type=tf.int64)


def places_of(rows: Any) -> Any:
    """Row and column of each event, the events of a row side by side from column 0: (E,) ascending -> (E, 2) int64."""
    rows = tf.cast(rows, tf.int64)
    firsts = tf.searchsorted(rows, rows, out_type=tf.int64)
    return tf.stack([rows, tf.range(tf.size(rows, tf.int64)) - firsts], axis=1)


@tf.custom_gradient
def repeat_by_row(x: tf.Tensor, rows: tf.Tensor) -> Any:
    """The row of each event: (B, D), (E,) ascending -> (E, D). As `tf.gather`, but the gradient is `sum_by_row`, which is faster."""
    return tf.gather(x, rows), lambda dy: (sum_by_row(dy, rows, tf.shape(x)[0]), None)
