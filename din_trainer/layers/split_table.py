"""An embedding table that several workers share: row j belongs to worker j mod N, and each worker keeps its own rows only."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from din_trainer.exchange.collectives import Workers, current
from din_trainer.layers.embedding_table import EmbeddingTable

_BLOCK = 2**18  # rows that are drawn at once


class SplitTable(EmbeddingTable):
    """A part of an `EmbeddingTable`, which looks up rows of the whole table.

    All workers look up at the same time. A worker asks the owner of each row of its batch for it, and sends the row's gradient there. The
    gradient of `embeddings` is a `tf.IndexedSlices` of own rows, each once, already added over the workers. So no worker sends it again.

    The penalty of a row is added by its owner, once for the whole batch. Rows start from the same numbers as in an `EmbeddingTable`.

    Args: As `EmbeddingTable`; `size` is that of the whole table.

    Attributes:
        workers: The workers of the training.
        embeddings: (own rows, D).
    """

    def build(self, input_shape: Any = None) -> None:
        workers = current()
        assert workers is not None, "only a training by several workers has split tables"
        self.workers = workers
        shape = (len(range(workers.index, self.size, workers.count)), self.dim)
        seed = keras.initializers.RandomUniform().seed  # as an EmbeddingTable draws it
        self.embeddings = self.add_weight(name="embeddings", shape=shape, initializer=lambda *_, **__: self._first_values(seed))
        if self.regularization:
            self.counts = self.add_weight(name="counts", shape=shape[:1], initializer="zeros", trainable=False)

    def _first_values(self, seed: int) -> np.ndarray:
        """What the own rows start from: `keras.initializers.RandomUniform` gives the whole table, here it is drawn block by block."""
        key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=[seed, 0])
        blocks = []
        for start in range(0, self.size, _BLOCK):
            rows = min(_BLOCK, self.size - start)
            skipped = counter + tf.constant([start * self.dim // 4, 0], tf.uint64)  # Philox: four numbers for each step of the counter
            drawn = tf.raw_ops.StatelessRandomUniformV2(shape=[rows, self.dim], key=key, counter=skipped, alg=1)
            first = (self.workers.index - start) % self.workers.count
            blocks.append((drawn * (2 * self.scale) - self.scale).numpy()[first :: self.workers.count])
        return np.concatenate(blocks)

    def call(self, ids: Sequence[Any], training: bool = False) -> list[Any]:
        return self._each_row_once(ids, lambda unique: self._rows(unique, training))

    def _rows(self, ids: Any, training: bool) -> Any:
        """The rows of different ids of the whole table: (U,) -> (U, D)."""
        workers = self.workers
        owner = tf.cast(ids % workers.count, tf.int32)
        by_owner = tf.argsort(owner, stable=True)
        counts = tf.math.bincount(owner, minlength=workers.count)
        asked, asked_counts = workers.to_each(tf.gather(ids, by_owner), counts)
        own, index = tf.unique(asked // workers.count)
        rows = tf.gather(self.embeddings.value, own)
        if training and self.regularization:
            self.add_loss(self._penalty(rows, own))
        answers = _answered(workers, rows, index, counts, asked_counts)
        return tf.gather(answers, tf.argsort(by_owner))

    def _penalty(self, rows: Any, ids: Any) -> Any:
        return self._penalty_of(rows, tf.gather(self.counts.value, ids))

    def set_rows(self, rows: np.ndarray, values: np.ndarray) -> None:
        own = rows % self.workers.count == self.workers.index
        super().set_rows(rows[own] // self.workers.count, values[own])

    def set_counts(self, counts: np.ndarray) -> None:
        super().set_counts(counts[self.workers.index :: self.workers.count])


def _answered(workers: Workers, rows: Any, index: Any, counts: Any, asked_counts: Any) -> Any:
    """Sends the rows that were asked for, and the gradients back.

    Args:
        workers: The workers.
        rows: (O, D), own rows, each once.
        index: (A,), which of them each answer is, in the order of the workers that asked.
        counts: (N,), how many rows this worker has asked each worker for.
        asked_counts: (N,), how many rows each worker has asked this one for.

    Returns:
        (U, D), the rows that this worker has asked for, in the order of their owners.
    """

    @tf.custom_gradient
    def answered(rows: Any) -> Any:
        answers, _ = workers.to_each(tf.gather(rows, index), asked_counts)

        def gradient(of_answers: Any) -> Any:
            of_asked, _ = workers.to_each(of_answers, counts)
            return tf.math.unsorted_segment_sum(of_asked, index, tf.shape(rows)[0])

        return answers, gradient

    return answered(rows)


def table_class(size: int, split_rows: int | None) -> type[EmbeddingTable]:
    """The class of a table with `size` rows, if tables with `split_rows` or more rows are split."""
    return SplitTable if current() and split_rows is not None and size >= split_rows else EmbeddingTable
