"""A table of attributes in TensorFlow: a part of the reader in training, and of the exported model."""

from typing import Any

import numpy as np
import tensorflow as tf

from din_trainer.lookups.attribute_table import AttributeTable


class TensorLookup(tf.Module):
    """Finds the rows of ids, and gathers attributes. It does the same as `AttributeTable.find`.

    Args:
        table: The table. Its attributes become variables, which are saved with the model.
    """

    def __init__(self, table: AttributeTable):
        super().__init__()
        keys = table.keys.to_numpy(zero_copy_only=False)
        text = keys.dtype == object
        numbers = tf.range(len(keys), dtype=tf.int64)
        initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(keys.tolist(), tf.string if text else tf.int64), numbers)
        self.numbers = tf.lookup.StaticHashTable(initializer, -1)
        self.codes = tf.Variable(table.codes, trainable=False)
        self.times = tf.Variable(table.times, trainable=False)
        self.columns = {name: tf.Variable(_tensor(values), trainable=False) for name, values in table.columns.items()}

    def find(self, ids: tf.Tensor, times: tf.Tensor | None = None) -> tf.Tensor:
        """Finds the row of each id: int64 in the shape of the ids.

        Args:
            ids: Of any shape.
            times: Unix seconds in the same shape: the newest row that holds at that time; None for the newest row.
        """
        key = tf.reshape(self.numbers.lookup(ids), [-1])
        count = tf.size(self.times, tf.int64)
        newest = count if times is None else tf.searchsorted(self.times, tf.reshape(times, [-1]), "right", tf.int64)
        base = key * (count + 1)
        row = tf.searchsorted(self.codes, base + newest, "right", tf.int64) - 1
        of_id = tf.gather(self.codes, tf.maximum(row, 0)) > base  # the row belongs to this id, and to no smaller one
        rows = tf.size(self.codes, tf.int64)
        return tf.reshape(tf.where((key >= 0) & (row >= 0) & of_id, row, rows), tf.shape(ids))

    def values(self, column: str, rows: tf.Tensor) -> tf.Tensor:
        """The attribute of each row: the shape of `rows`, then (most tags) or (size)."""
        return tf.gather(self.columns[column], rows)


def _tensor(values: np.ndarray) -> Any:
    return tf.constant(values.tolist(), tf.string, values.shape) if values.dtype == object else tf.constant(values)
