"""Embedding tables whose cost does not depend on their size, with mini-batch aware regularisation (equation 7 of the paper)."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from din_trainer.exchange.collectives import current


@keras.saving.register_keras_serializable("din_trainer")
class EmbeddingTable(keras.layers.Layer):
    """A table of embeddings. In training, a batch reads each row that it needs once.

    `keras.layers.Embedding` reads the whole table into the gradient's graph, so its cost grows with the vocabulary. Here the gradient is a
    `tf.IndexedSlices` that holds each row of the batch once, as `LazyAdam` needs it.

    With `regularization` = λ, each row j of the batch adds λ / n_j · ½‖w_j‖² to the loss, where n_j is the number of its occurrences in the
    training data (`counts`). This is mini-batch aware regularisation: the gradient is equation 7's λ α_mj / n_j · w_j. Rows without a known
    count are not regularised: padding, and out-of-vocabulary buckets, which stand for many values.

    Args:
        size: Number of rows.
        dim: D.
        regularization: λ; the paper uses 0.01.
        scale: Rows start at random between ± this. Rows that occur seldom or never in training stay near their start.

    Attributes:
        start: An initializer of Keras that takes the place of random numbers, for a table that is filled later.

    Call arguments:
        ids: Int tensors of any shapes.

    Output: A list of the tensors' embeddings, each of shape (…, D).

    Raises:
        ValueError: `regularization` or `scale` is out of range; or `ids` is not a list.

    Example:
        candidate, events = EmbeddingTable(1000, 16)([candidate_ids, event_ids])

    References:
        Zhou et al., 2018, arXiv 1706.06978v4, section 5.2, equations 4-7.
    """

    def __init__(self, size: int, dim: int, regularization: float = 0.0, scale: float = 0.05, **kwargs: Any):
        super().__init__(**kwargs)
        if regularization < 0:
            raise ValueError(f"regularization must not be negative; received {regularization}")
        if scale <= 0:
            raise ValueError(f"scale must be positive; received {scale}")
        self.size = size
        self.dim = dim
        self.regularization = regularization
        self.scale = scale
        self.start: str | None = None

    def build(self, input_shape: Any = None) -> None:
        initializer = self.start or keras.initializers.RandomUniform(-self.scale, self.scale)
        self.embeddings = self.add_weight(name="embeddings", shape=(self.size, self.dim), initializer=initializer)
        if self.regularization:
            self.counts = self.add_weight(name="counts", shape=(self.size,), initializer="zeros", trainable=False)

    def call(self, ids: Sequence[Any], training: bool = False) -> list[Any]:
        if training:
            return self._each_row_once(ids, self._training_rows)
        return [tf.gather(self.embeddings.value, part) for part in _checked(ids)]

    def _each_row_once(self, ids: Sequence[Any], read: Callable[[Any], Any]) -> list[Any]:
        """The embeddings of ids, of which `read` gets each different one once: (U,) -> (U, D)."""
        flat = [ops.reshape(part, (-1,)) for part in _checked(ids)]
        unique, index = tf.unique(ops.concatenate(flat, axis=0))
        rows = read(unique)
        parts = tf.split(index, [tf.shape(part)[0] for part in flat])
        return [tf.gather(rows, tf.reshape(part, tf.shape(shaped))) for part, shaped in zip(parts, ids, strict=True)]

    def _training_rows(self, ids: Any) -> Any:
        rows = tf.gather(self.embeddings.value, ids)  # (U, D)
        if self.regularization:
            self.add_loss(self._penalty(rows, ids))
        return rows

    def _penalty(self, rows: Any, ids: Any) -> Any:
        """½ λ Σ ‖w_j‖² / n_j over the rows of the batch (equation 6)."""
        counts = tf.gather(self.counts.value, ids)
        workers = current()
        if workers:  # the workers that have a row share its term, since the terms of all workers are added
            everywhere = tf.unique_with_counts(tf.concat([ids, *workers.concatenate([ids])], axis=0)).count  # the first are those of `ids`
            counts *= tf.cast(everywhere[: tf.shape(ids)[0]] - 1, counts.dtype)
        return self._penalty_of(rows, counts)

    def _penalty_of(self, rows: Any, counts: Any) -> Any:
        squares = ops.sum(ops.square(rows), axis=1)  # (U,)
        return 0.5 * self.regularization * ops.sum(tf.math.divide_no_nan(squares, counts))

    def set_rows(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Gives some rows, (R,), other values, (R, D)."""
        self.embeddings.value.scatter_update(tf.IndexedSlices(tf.cast(values, tf.float32), rows))

    def set_counts(self, counts: np.ndarray) -> None:
        """Sets how often each row occurs in the training data, (size,)."""
        self.counts.assign(counts)

    def compute_output_shape(self, input_shape: Sequence[Any]) -> list[Any]:
        return [(*shape, self.dim) for shape in input_shape]

    def get_config(self) -> dict[str, Any]:
        own = {"size": self.size, "dim": self.dim, "regularization": self.regularization, "scale": self.scale}
        return {**super().get_config(), **own}


def _checked(ids: Any) -> Sequence[Any]:
    if isinstance(ids, list | tuple):
        return ids
    raise ValueError(f"an EmbeddingTable takes a list of tensors of ids, and returns a list; received one {type(ids).__name__}")
