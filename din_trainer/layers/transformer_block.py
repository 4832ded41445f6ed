"""One Transformer block over a history and its candidate: what BST has in the place of DIN's attention unit."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

_HEADS = 8  # as the paper
_LEAST = (
    2  # numbers of a head: Keras 3.15 adds the bias of heads with one number along the wrong axis, if there are as many events as heads
)
_WIDER = 4  # the feed-forward part is so many times wider than its input, as in Vaswani et al., 2017


@keras.saving.register_keras_serializable("din_trainer")
class TransformerBlock(keras.layers.Layer):
    """Self-attention of the sequence [events, candidate], then a feed-forward part, each with dropout, a residual and a layer norm.

    The output is the one at the candidate, so only the candidate's attention is computed. N candidates of one history are N sequences:
    each candidate attends to the events and to itself. Positions count back from the candidate, which has position 0. Where the events
    have fields that a candidate does not have, the candidate has zeros.

    Args:
        length: The number of events that have positions of their own; all earlier ones share the last position.
        dropout: Share of the outputs that are dropped in training.

    Call arguments:
        query: (B, D), the candidates; or (B, N, D).
        keys: (E, D), the events of all histories, row by row, oldest first.
        rows: (E,) int64, the impression that each event belongs to, ascending.
        event_fields: (E, X), further fields of the events; optional.

    Output shape: (B, D + X), or (B, N, D + X).

    References:
        Chen et al., 2019, arXiv 1905.06874, section 2.2.
    """

    def __init__(self, length: int, dropout: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.length, self.dropout = length, dropout

    def build(self, query_shape: Any, keys_shape: Any, rows_shape: Any = None, event_fields_shape: Any = None) -> None:
        width = keys_shape[-1] + (event_fields_shape[-1] if event_fields_shape else 0)
        shape = (None, None, width)
        self.positions = self.add_weight(name="positions", shape=(self.length + 1, width), initializer="uniform")
        self.attention = keras.layers.MultiHeadAttention(_HEADS, max(width // _HEADS, _LEAST), dropout=self.dropout, name="attention")
        self.attention.build(shape, shape)
        self.dense = [keras.layers.Dense(_WIDER * width, "leaky_relu", name="dense_0"), keras.layers.Dense(width, name="dense_1")]
        self.dense[0].build(shape)
        self.dense[1].build((None, None, _WIDER * width))
        self.norms = [keras.layers.LayerNormalization(name=f"norm_{i}") for i in range(2)]
        for norm in self.norms:
            norm.build(shape)
        self.dropouts = [keras.layers.Dropout(self.dropout, name=f"dropout_{i}") for i in range(2)]

    def call(self, query: Any, keys: Any, rows: Any, event_fields: Any = None, training: bool = False) -> Any:
        candidates = query if len(query.shape) == 3 else query[:, None]  # (B, N, D)
        events = keys
        if event_fields is not None:
            events = ops.concatenate([keys, event_fields], axis=1)  # (E, D + X)
            candidates = ops.pad(candidates, [[0, 0], [0, 0], [0, event_fields.shape[-1]]])
        positions = ops.convert_to_tensor(self.positions)
        history = tf.RaggedTensor.from_value_rowids(events, rows, nrows=tf.shape(query, tf.int64)[0], validate=False)
        back = tf.gather(history.row_splits, rows + 1) - tf.range(tf.shape(rows, tf.int64)[0])  # (E,), from 1 for the most recent
        history = history.with_values(events + tf.gather(positions, tf.minimum(back, self.length)))
        candidates = candidates + positions[0]
        padded = history.to_tensor(shape=[None, None, events.shape[-1]])  # (B, L, D + X)
        attended = self.attention(
            candidates, ops.concatenate([padded, candidates], axis=1), attention_mask=_mask(history, padded, candidates), training=training
        )
        x = self.norms[0](candidates + self.dropouts[0](attended, training=training))
        x = self.norms[1](x + self.dropouts[1](self.dense[1](self.dense[0](x)), training=training))  # (B, N, D + X)
        return x if len(query.shape) == 3 else x[:, 0]

    def compute_output_shape(self, query_shape: Any, keys_shape: Any, rows_shape: Any = None, event_fields_shape: Any = None) -> Any:
        return (*query_shape[:-1], keys_shape[-1] + (event_fields_shape[-1] if event_fields_shape else 0))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "length": self.length, "dropout": self.dropout}


def _mask(history: tf.RaggedTensor, padded: Any, candidates: Any) -> Any:
    """What each candidate attends to: the events of its history, and itself. (B, N, L + N) bool."""
    count, candidates_count = tf.unstack(tf.shape(candidates)[:2])
    real = tf.sequence_mask(history.row_lengths(), tf.shape(padded)[1])  # (B, L)
    itself = tf.eye(candidates_count, batch_shape=[count], dtype=tf.bool)
    return tf.concat([tf.repeat(real[:, None], candidates_count, axis=1), itself], axis=2)
