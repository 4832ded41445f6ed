"""Packs a batch of features into one int32 matrix and back, so that a split takes little memory and rows are picked by one operation."""

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

Features = dict[str, tf.Tensor]


class _Field(NamedTuple):
    """Where a feature lies in a row: as many columns from `start` as a row of it, in its shape, has values."""

    start: int
    shape: tuple[int, ...]
    dtype: tf.DType

    @property
    def width(self) -> int:
        return math.prod(self.shape)


class PackedRows:
    """The layout of the rows: each int64 value is one int32, each float32 value keeps its bits.

    Args:
        read: Reads serialised tf.Examples (N,): features (N, …), int64 (each value within int32) or float32.

    Attributes:
        read: As given.
        width: K, the columns of a row.

    Raises:
        ValueError: `read` gives a feature of another type, or one whose rows have no fixed shape.
    """

    def __init__(self, read: Callable[[tf.Tensor], Features]):
        self.read = read
        self.width = 0
        self._fields: dict[str, _Field] = {}
        specs = tf.function(read, autograph=False).get_concrete_function(tf.TensorSpec([None], tf.string)).structured_outputs
        for name, spec in sorted(specs.items()):
            shape = spec.shape[1:]
            if not shape.is_fully_defined() or spec.dtype not in (tf.int64, tf.float32):
                raise ValueError(f"feature {name!r} must be int64 or float32 and of a fixed length; received {spec}")
            self._fields[name] = field = _Field(self.width, tuple(shape), spec.dtype)
            self.width += field.width

    def pack(self, serialized: tf.Tensor) -> tf.Tensor:
        """Serialised tf.Examples (N,) -> rows (N, K) int32."""
        features = self.read(serialized)
        columns = []
        for name, field in self._fields.items():
            x = features[name] if len(field.shape) == 1 else tf.reshape(features[name], [-1, field.width])
            columns.append(tf.cast(x, tf.int32) if field.dtype == tf.int64 else tf.bitcast(x, tf.int32))
        rows = tf.concat(columns, axis=1)
        rows.set_shape([None, self.width])
        return rows

    def unpack(self, rows: tf.Tensor) -> Features:
        """Rows (N, K) int32 -> the features as `read` gives them."""
        return {name: self.column(rows, name) for name in self._fields}

    def column(self, rows: tf.Tensor, name: str) -> tf.Tensor:
        """Rows (N, K) int32 -> one feature."""
        field = self._fields[name]
        x = rows[:, field.start : field.start + field.width] if field.shape else rows[:, field.start]
        if len(field.shape) > 1:
            x = tf.reshape(x, [-1, *field.shape])
        return tf.cast(x, tf.int64) if field.dtype == tf.int64 else tf.bitcast(x, tf.float32)
