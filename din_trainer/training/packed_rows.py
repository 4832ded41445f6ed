"""Packs a batch of features into int32 matrices and back, so that a split takes little memory and rows are picked by one operation."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from din_trainer.features import EVENT_COUNTS

Features = dict[str, tf.Tensor]


class _Field(NamedTuple):
    """Where a feature lies in a row: as many columns from `start` as a row of it, in its shape, has values."""

    start: int
    shape: tuple[int, ...]
    dtype: tf.DType

    @property
    def width(self) -> int:
        return math.prod(self.shape)

    def pack(self, x: tf.Tensor) -> tf.Tensor:
        """(N, …) -> (N, width) int32."""
        flat = x if len(self.shape) == 1 else tf.reshape(x, [-1, self.width])
        return tf.cast(flat, tf.int32) if self.dtype == tf.int64 else tf.bitcast(flat, tf.int32)

    def unpack(self, rows: tf.Tensor) -> tf.Tensor:
        """The inverse, from rows with all fields."""
        x = rows[:, self.start : self.start + self.width] if self.shape else rows[:, self.start]
        if len(self.shape) > 1:
            x = tf.reshape(x, [-1, *self.shape])
        return tf.cast(x, tf.int64) if self.dtype == tf.int64 else tf.bitcast(x, tf.float32)


class Packed(NamedTuple):
    """N rows.

    Attributes:
        fixed: The features of a fixed shape, (N, K) int32.
        events: Those of the events of all rows, one after the other, (E, W) int32; None if no feature is ragged.
        counts: How many events each row has, (N,) int64; None if no feature is ragged.
    """

    fixed: Any
    events: Any = None
    counts: Any = None

    def __len__(self) -> int:
        return len(self.fixed)

    @property
    def size(self) -> int:
        """Bytes; outside a graph."""
        return sum(math.prod(x.shape) * x.dtype.size for x in self if x is not None)

    def take(self, numbers: tf.Tensor) -> "Packed":
        """Some of the rows, in the order of their numbers."""
        fixed = tf.gather(self.fixed, numbers)
        if self.events is None:
            return Packed(fixed)
        events = tf.gather(self.ragged(), numbers)
        return Packed(fixed, events.values, events.row_lengths())

    def ragged(self) -> tf.RaggedTensor:
        """The events by row: (N, events, W)."""
        return tf.RaggedTensor.from_row_lengths(self.events, self.counts, validate=False)


class PackedRows:
    """The layout of the rows: each int64 value is one int32, each float32 value keeps its bits.

    Args:
        read: Reads serialised tf.Examples (N,): features (N, …), int64 (each value within int32) or float32. Features of one sequence may
            be ragged, (N, events, …).

    Attributes:
        read: As given.
        width: K, the columns of a row, without those of events.

    Raises:
        ValueError: `read` gives a feature of another type, or one whose rows have no fixed shape.
    """

    def __init__(self, read: Callable[[tf.Tensor], Features]):
        self.read = read
        self.width = self._event_width = 0
        self._fields: dict[str, _Field] = {}
        self._event_fields: dict[str, _Field] = {}
        specs = tf.function(read, autograph=False).get_concrete_function(tf.TensorSpec([None], tf.string)).structured_outputs
        for name, spec in sorted(specs.items()):
            of_events = isinstance(spec, tf.RaggedTensor)
            shape = spec.shape[2:] if of_events else spec.shape[1:]
            if not shape.is_fully_defined() or spec.dtype not in (tf.int64, tf.float32):
                raise ValueError(f"feature {name!r} must be int64 or float32 and of a fixed length; received {spec}")
            if of_events:
                self._event_fields[name] = field = _Field(self._event_width, tuple(shape), spec.dtype)
                self._event_width += field.width
            else:
                self._fields[name] = field = _Field(self.width, tuple(shape), spec.dtype)
                self.width += field.width

    @property
    def has_events(self) -> bool:
        """Whether rows differ in size."""
        return bool(self._event_fields)

    def pack(self, serialized: tf.Tensor) -> Packed:
        """Serialised tf.Examples (N,) -> rows."""
        features = self.read(serialized)
        fixed = tf.concat([field.pack(features[name]) for name, field in self._fields.items()], axis=1)
        fixed.set_shape([None, self.width])
        if not self._event_fields:
            return Packed(fixed)
        events = tf.concat([field.pack(features[name].values) for name, field in self._event_fields.items()], axis=1)
        events.set_shape([None, self._event_width])
        return Packed(fixed, events, features[next(iter(self._event_fields))].row_lengths())

    def none(self) -> Packed:
        """No rows."""
        fixed = tf.zeros([0, self.width], tf.int32)
        return Packed(fixed, tf.zeros([0, self._event_width], tf.int32), tf.zeros([0], tf.int64)) if self.has_events else Packed(fixed)

    def unpack(self, rows: Packed) -> Features:
        """Rows -> the features as `read` gives them. Ragged ones are flat, (E, …), with their number in each row as `EVENT_COUNTS`."""
        features = {name: field.unpack(rows.fixed) for name, field in self._fields.items()}
        if rows.events is None:
            return features
        return {**features, **{name: field.unpack(rows.events) for name, field in self._event_fields.items()}, EVENT_COUNTS: rows.counts}

    def column(self, rows: Packed, name: str) -> tf.Tensor:
        """Rows -> one feature that is not ragged."""
        return self._fields[name].unpack(rows.fixed)
