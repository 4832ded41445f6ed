"""The most recent events of the histories of tf.Examples, and the values that further fields of the sequence have for them."""

from typing import Any

import tensorflow as tf

from din_trainer.transform.slots import Slots


class RecentEvents:
    """The last `length` events of each impression. A value that is missing is no event.

    E events that are kept, of all impressions together.

    Args:
        history: The first history of a sequence, ragged (B, any), as it is in the data.
        missing: −1 or "".
        length: L.

    Attributes:
        places: Row and column of each event in (B, L): (E, 2) int64.
        rows: The impression of each event: (E,).
    """

    def __init__(self, history: tf.RaggedTensor, missing: Any, length: int):
        self._splits = history.row_splits
        events = tf.where(tf.not_equal(history.values, missing))[:, 0]
        splits = tf.searchsorted(events, self._splits, out_type=tf.int64)  # of the events alone
        starts, limits = tf.maximum(splits[:-1], splits[1:] - length), splits[1:]
        kept = tf.ragged.range(starts, limits, row_splits_dtype=tf.int64)
        self._positions = tf.gather(events, kept.values)  # in the data
        self.places = tf.raw_ops.RaggedTensorToSparse(rt_nested_splits=[kept.row_splits], rt_dense_values=self._positions).sparse_indices
        self.rows = self.places[:, 0]

    def values_of(self, field: Slots, missing: Any) -> Any:
        """The values of a field of the sequence at these events: (E, …), or ragged (E, any) for tags.

        Args:
            field: The values of all events, missing ones too.
            missing: What an event gets that has no value here, which only unequal lengths cause. Tags have none then.
        """
        assert field.splits is not None
        if field.splits is self._splits:
            return tf.gather(field.values, self._positions)
        positions = self._positions + tf.gather(field.splits - self._splits, self.rows)
        beyond = positions >= tf.gather(field.splits[1:], self.rows)
        return tf.gather(*_with_one_more(field.values, missing, positions, beyond))


def _with_one_more(values: Any, missing: Any, positions: tf.Tensor, beyond: tf.Tensor) -> tuple[Any, tf.Tensor]:
    """The values with a missing one behind them, and the positions, which lead to it where they are beyond."""
    if isinstance(values, tf.RaggedTensor):
        size, splits = values.nrows(), values.row_splits
        longer = tf.RaggedTensor.from_row_splits(values.values, tf.concat([splits, splits[-1:]], 0), validate=False)
    else:
        size = tf.shape(values, tf.int64)[0]
        longer = tf.concat([values, tf.constant(missing, values.dtype, [1, *values.shape[1:]])], 0)
    return longer, tf.where(beyond, size, positions)
