"""Embedding tables whose cost does not depend on their size, with mini-batch aware regularisation (equation 7 of the paper)."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops


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

    def build(self, input_shape: Any = None) -> None:
        initializer = keras.initializers.RandomUniform(-self.scale, self.scale)
        self.embeddings = self.add_weight(name="embeddings", shape=(self.size, self.dim), initializer=initializer)
        if self.regularization:
            self.counts = self.add_weight(name="counts", shape=(self.size,), initializer="zeros", trainable=False)

    def call(self, ids: Sequence[Any], training: bool = False) -> list[Any]:
        if not isinstance(ids, list | tuple):
            raise ValueError(f"an EmbeddingTable takes a list of tensors of ids, and returns a list; received one {type(ids).__name__}")
        table = self.embeddings.value
        if not training:
            return [tf.gather(table, part) for part in ids]
        flat = [ops.reshape(part, (-1,)) for part in ids]
        unique, index = tf.unique(ops.concatenate(flat, axis=0))
        rows = tf.gather(table, unique)  # (U, D)
        if self.regularization:
            self.add_loss(self._penalty(rows, unique))
        parts = tf.split(index, [tf.shape(part)[0] for part in flat])
        return [tf.gather(rows, tf.reshape(part, tf.shape(shaped))) for part, shaped in zip(parts, ids, strict=True)]

    def _penalty(self, rows: Any, ids: Any) -> Any:
        """½ λ Σ ‖w_j‖² / n_j over the rows of the batch (equation 6)."""
        squares = ops.sum(ops.square(rows), axis=1)  # (U,)
        return 0.5 * self.regularization * ops.sum(tf.math.divide_no_nan(squares, tf.gather(self.counts.value, ids)))

    def compute_output_shape(self, input_shape: Sequence[Any]) -> list[Any]:
        return [(*shape, self.dim) for shape in input_shape]

    def get_config(self) -> dict[str, Any]:
        own = {"size": self.size, "dim": self.dim, "regularization": self.regularization, "scale": self.scale}
        return {**super().get_config(), **own}
