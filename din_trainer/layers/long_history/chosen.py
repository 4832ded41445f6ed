"""Events that were chosen from histories, and the simplest choice: the most recent ones."""

from typing import Any, NamedTuple

import tensorflow as tf


class Chosen(NamedTuple):
    """The events that a search has found, for all candidates of a batch. C events in all.

    Attributes:
        positions: Which of the E events of the batch they are, (C,) int64. An event may be chosen for several candidates.
        rows: The candidate that each belongs to, (C,) int64, ascending: the impression b, or b · N + n with N candidates an impression.
    """

    positions: Any
    rows: Any


def most_recent(rows: Any, most: int) -> tf.Tensor:
    """Finds the last events of each row.

    Args:
        rows: The row of each event, (E,) int, ascending; the oldest event of a row first.
        most: How many events of a row are kept.

    Returns:
        Which of the E events are kept, ascending: (kept,) int64.
    """
    after = rows[most:]  # the row of the event that comes `most` events later: another row, or none, for those that are kept
    behind = tf.fill([tf.size(rows) - tf.size(after)], tf.constant(-1, rows.dtype))
    return tf.where(tf.not_equal(rows, tf.concat([after, behind], 0)))[:, 0]


def recent_of_splits(splits: Any, most: int) -> Chosen:
    """The last events of each impression: as `most_recent`, from where the events of each impression begin, (B + 1,) int64."""
    starts = tf.maximum(splits[:-1], splits[1:] - most)
    kept = tf.ragged.range(starts, splits[1:], row_splits_dtype=tf.int64)
    return Chosen(kept.values, kept.value_rowids())
