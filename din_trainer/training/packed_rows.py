"""Packs a batch of features into one int32 matrix and back, so that a split takes little memory and rows are picked by one operation."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

Features = dict[str, tf.Tensor]


class _Field(NamedTuple):
    """Where a feature lies in a row: `width` columns from `start`; 0 for a feature with one value."""

    start: int
    width: int
    dtype: tf.DType


class PackedRows:
    """The layout of the rows: each int64 value is one int32, each float32 value keeps its bits.

    Args:
        read: Reads serialised tf.Examples (N,): features (N,) or (N, L), int64 (each value within int32) or float32.

    Attributes:
        read: As given.
        width: K, the columns of a row.

    Raises:
        ValueError: `read` gives a feature of another type, or a history without a fixed length.
    """

    def __init__(self, read: Callable[[tf.Tensor], Features]):
        self.read = read
        self.width = 0
        self._fields: dict[str, _Field] = {}
        specs = tf.function(read, autograph=False).get_concrete_function(tf.TensorSpec([None], tf.string)).structured_outputs
        for name, spec in sorted(specs.items()):
            width = 0 if len(spec.shape) == 1 else spec.shape[1]
            if width is None or spec.dtype not in (tf.int64, tf.float32):
                raise ValueError(f"feature {name!r} must be int64 or float32 and of a fixed length; received {spec}")
            self._fields[name] = _Field(self.width, width, spec.dtype)
            self.width += max(width, 1)

    def pack(self, serialized: tf.Tensor) -> tf.Tensor:
        """Serialised tf.Examples (N,) -> rows (N, K) int32."""
        features = self.read(serialized)
        columns = []
        for name, field in self._fields.items():
            x = features[name] if field.width else tf.expand_dims(features[name], 1)
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
        x = rows[:, field.start : field.start + field.width] if field.width else rows[:, field.start]
        return tf.cast(x, tf.int64) if field.dtype == tf.int64 else tf.bitcast(x, tf.float32)

    def __contains__(self, name: str) -> bool:
        return name in self._fields
