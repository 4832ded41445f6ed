"""Raw features as slots, one after the other, and the way back.

A slot is what has a value: an impression, a candidate or an event. The arithmetic of each kind works on slots alone, (S,) in and (S, …)
out, so that it is the same for all of them.

B impressions, S slots, L the most recent events that are kept of a sequence.
"""

from typing import Any, NamedTuple

import tensorflow as tf


class Slots(NamedTuple):
    """The values of a feature.

    Attributes:
        values: (S,), (S, size) for vectors, or ragged (S, any) for tags.
        splits: Where the events of each impression begin: (B + 1,) int64. None: each impression is a slot.
    """

    values: Any
    splits: tf.Tensor | None

    def padded(self, x: tf.Tensor, length: int) -> tf.Tensor:
        """Gives each impression what was made of its slots.

        Args:
            x: (S, …), by slot.
            length: L.

        Returns:
            (B, …); for events (B, L, …), the last L of them, from the left, with zeros behind them.
        """
        if self.splits is None:
            return x
        ends = self.splits[1:, tf.newaxis]
        kept = tf.minimum(ends - self.splits[:-1, tf.newaxis], length)
        column = tf.range(length, dtype=tf.int64)
        slot = tf.where(column < kept, ends - kept + column, tf.shape(x, tf.int64)[0])  # (B, L); padding is behind the last slot
        return tf.gather(tf.concat([x, tf.zeros([1, *x.shape[1:]], x.dtype)], 0), slot)


def to_dense(x: Any, default: Any) -> tf.Tensor:
    """One value for each row, `default` where it is missing: (B,). Features that may not be missing are dense already."""
    if isinstance(x, tf.Tensor):
        return x
    narrow = tf.SparseTensor(x.indices, x.values, [x.dense_shape[0], 1])
    return tf.squeeze(tf.sparse.to_dense(narrow, default), 1)


def to_ragged(x: Any) -> tf.RaggedTensor:
    """Several values for each row: (B, any), sparse in Transform and ragged in the reader of requests."""
    if isinstance(x, tf.RaggedTensor):
        return x
    return tf.RaggedTensor.from_value_rowids(x.values, x.indices[:, 0], x.dense_shape[0], validate=False)  # parsed: values are in order


def single_values(x: Any, missing: Any, of_events: bool) -> Slots:
    """Slots with one value each, `missing` where there is none."""
    if not of_events:
        return Slots(to_dense(x, missing), None)
    ragged = to_ragged(x)
    return Slots(ragged.values, ragged.row_splits)


def numbers(x: Any, of_events: bool) -> Slots:
    """Slots with one number each, NaN where there is none: float32 and float64 stay, int64 becomes float64."""
    kind = tf.float32 if x.dtype == tf.float32 else tf.float64
    cast = tf.cast(x, kind)
    return single_values(cast, tf.constant(float("nan"), kind), of_events)


def vectors(x: Any, size: int, of_events: bool, name: str) -> Slots:
    """Slots with `size` floats each: (S, size), NaN where there is no vector.

    Raises:
        InvalidArgumentError: When it runs: an impression has another number of floats. They would shift the vectors of later ones.
    """
    ragged = to_ragged(x)
    lengths = ragged.row_lengths()
    right = tf.equal(lengths % size, 0) if of_events else tf.logical_or(tf.equal(lengths, 0), tf.equal(lengths, size))
    wanted = f"{size} floats, in each event" if of_events else f"{size} floats, or none"
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(right), [f"each vector of {name} must have {wanted}"])]):
        values, splits = tf.identity(ragged.values), tf.identity(ragged.row_splits)
    if of_events:
        return Slots(tf.reshape(values, [-1, size]), splits // size)
    missing = tf.constant(float("nan"), x.dtype)
    return Slots(tf.RaggedTensor.from_row_splits(values, splits, validate=False).to_tensor(missing, shape=[None, size]), None)


def lists(x: Any, lengths: Any, name: str) -> Slots:
    """Slots with any number of values each.

    Args:
        x: (B, any): the values of an impression or, one event after the other, of its events.
        lengths: How many values each event has: (B, events); None for features that do not belong to events.
        name: For the message.

    Raises:
        InvalidArgumentError: When it runs: the lengths of the events of an impression do not add up to the number of its values.
    """
    ragged = to_ragged(x)
    if lengths is None:
        return Slots(ragged, None)
    by_event = to_ragged(lengths)
    each = tf.logical_and(by_event.values >= 0, by_event.values <= tf.size(ragged.values, tf.int64))  # their sum does not overflow
    right = tf.logical_and(tf.reduce_all(each), tf.reduce_all(tf.equal(tf.reduce_sum(by_event, axis=1), ragged.row_lengths())))
    message = f"the numbers of tags of the events must add up to the values that each impression has of {name}"
    with tf.control_dependencies([tf.debugging.Assert(right, [message])]):
        starts = tf.concat([tf.zeros([1], tf.int64), tf.cumsum(by_event.values)], 0)
    return Slots(tf.RaggedTensor.from_row_splits(ragged.values, starts, validate=False), by_event.row_splits)
