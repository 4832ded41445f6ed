"""The attention unit: how much each event of a history matters for the candidate (equation 3 of the paper)."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from din_trainer.layers.activations import activate, make_activation
from din_trainer.layers.candidate_attention import scores_of_pairs, weighted_sums
from din_trainer.layers.dense_chain import DenseChain
from din_trainer.layers.events import repeat_by_row, rows_of, sum_by_row
from din_trainer.layers.parts import Histories, histories_in_parts
from din_trainer.layers.products import product, product_and_bias


@keras.saving.register_keras_serializable("din_trainer")
class AttentionUnit(keras.layers.Layer):
    """Local activation: the sum of a history's events with weights that depend on the candidate.

    A small MLP scores each event from [query, key, query − key, query ⊙ key] and, where given, further fields of the event, which the query
    does not have. The sum is that of [key, fields]. The weights are not normalised by default, so that their sum keeps the intensity of
    interest. An empty history yields the zero vector, either way.

    The first layer never sees that concatenation. With its kernel in four blocks, W_q q + W_k k + W_d (q − k) + W_p (q ⊙ k) is
    (W_q + W_d) q, once an impression, plus (W_k − W_d) k + W_p (q ⊙ k), once an event: half the products and nothing tiled.

    Args:
        hidden: Sizes of the MLP's hidden layers, at least one.
        activation: `dice`, `prelu` or the name of a Keras activation.
        softmax: Normalises the weights of a history by softmax, as the paper advises against.

    Call arguments:
        query: (B, D), the candidates; or (B, N, D), N candidates for each history, at inference.
        keys: (E, D), the events of all histories, row by row.
        rows: (E,) int, the impression that each event belongs to, ascending.
        event_fields: (E, X), further fields of the events, such as the time gap; optional.

    Output shape: (B, D + X), or (B, N, D + X).

    Example:
        positions = flatten_events(history_ids)                   # (B, L) -> (E, 2)
        keys = table(tf.gather_nd(history_ids, positions))        # (E, D)
        interest = AttentionUnit((80, 40))(query, keys, positions[:, 0])

    Raises:
        ValueError: There is no hidden layer, or query and keys have different sizes.

    References:
        Zhou et al., 2018, arXiv 1706.06978v4, section 4.3, equation 3 and figure 2.
    """

    def __init__(self, hidden: Sequence[int] = (80, 40), activation: str = "dice", softmax: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden = tuple(hidden)
        if not self.hidden:
            raise ValueError("the attention unit needs a hidden layer; received none")
        self.activation = activation
        self.softmax = softmax
        self.dense = [keras.layers.Dense(units, name=f"dense_{i}") for i, units in enumerate(self.hidden[1:], 1)]
        self.activations = [make_activation(activation, f"activation_{i}") for i in range(len(self.hidden))]
        self.score = keras.layers.Dense(1, use_bias=False, name="score")

    def build(self, query_shape: Any, keys_shape: Any, rows_shape: Any = None, event_fields_shape: Any = None) -> None:
        if query_shape[-1] != keys_shape[-1]:
            raise ValueError(f"query and keys must have one size; received {tuple(query_shape)} and {tuple(keys_shape)}")
        self._size = query_shape[-1]
        fields = event_fields_shape[-1] if event_fields_shape else 0
        shape, start = (4 * self._size + fields, self.hidden[0]), _without_fields(fields) if fields else "glorot_uniform"
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=start)
        self.bias = self.add_weight(name="bias", shape=(self.hidden[0],), initializer="zeros")
        self.score_bias = self.add_weight(name="score_bias", shape=(), initializer="zeros")
        for units, dense in zip(self.hidden, [*self.dense, self.score], strict=True):
            dense.build((None, units))
        for units, activation in zip(self.hidden, self.activations, strict=True):
            activation.build((None, units))

    def call(self, query: Any, keys: Any, rows: Any, event_fields: Any = None, training: bool = False) -> Any:
        histories = Histories(query, keys, rows, event_fields)
        if len(query.shape) == 3:
            return weighted_sums(self.weights_of(*histories), _events(histories), rows, rows_of(query))  # (B, N, D + X)
        parts = histories_in_parts(histories) if training else [histories]
        weights = self._weights_of_parts(parts, training)  # a(e_j, v_A) of each event j: (E, 1)
        # equation 3, Σ_j a(e_j, v_A) e_j: (B, D + X)
        interests = [sum_by_row(w * _events(part), part.rows, rows_of(part.query)) for w, part in zip(weights, parts, strict=True)]
        return tf.concat(interests, 0) if training else interests[0]

    def weights_of(self, query: Any, keys: Any, rows: Any, event_fields: Any = None) -> Any:
        """The weight of each event at inference: (E, 1), or (E, N) for N candidates."""
        if len(query.shape) == 2:
            return self._weights_of_parts([Histories(query, keys, rows, event_fields)], training=False)[0]
        with_one = ops.concatenate([query, ops.ones_like(query[..., :1])], axis=-1)  # (B, N, D + 1): the product adds the bias
        scores = scores_of_pairs(with_one, rows, self.kernels_of_events(keys, event_fields), lambda x: self._scores([x], training=False)[0])
        return _softmax_by_row(scores, rows, ops.shape(query)[0]) if self.softmax else scores

    def _weights_of_parts(self, parts: list[Histories], training: bool) -> list[Any]:
        scores = self._scores(self.first_layer(parts, training), training)
        if not self.softmax:
            return scores
        return [_softmax_by_row(x, part.rows, rows_of(part.query)) for x, part in zip(scores, parts, strict=True)]

    def _scores(self, parts: list[Any], training: bool) -> list[Any]:
        """From the first layer, before its activation, to the scores: (pairs, hidden[0]) -> (pairs, 1) each."""
        parts = activate(self.activations[0], parts, training)
        for dense, activation in zip(self.dense, self.activations[1:], strict=True):
            parts = activate(activation, [product_and_bias(dense, x) for x in parts], training)  # (pairs, units) each
        return [self.score(x) + self.score_bias for x in parts]

    def first_layer(self, parts: list[Histories], training: bool) -> list[Any]:
        """[q, k, q − k, q ⊙ k, event_fields] · kernel + bias, in its split form: (E, hidden[0]) each."""
        repeat = repeat_by_row if training else tf.gather  # which needs fewer operations, where there are no gradients
        of_query, of_key, of_difference, of_product, of_fields = self._kernel_blocks()
        once = of_query + of_difference  # (D, hidden[0])
        each = ops.concatenate([of_key - of_difference, of_product, of_fields], axis=0)  # (2D + X, hidden[0])
        result = []
        for query, keys, rows, fields in parts:
            inputs = [keys, keys * repeat(query, rows), *([] if fields is None else [fields])]  # (E, 2D + X) in all
            # a sum of product and bias would become one operation, which takes longer than both for a request of one impression
            of_row = product(query, once) - (-self.bias)  # (B, hidden[0])
            result.append(product(ops.concatenate(inputs, axis=1), each) + repeat(of_row, rows))
        return result

    def _kernel_blocks(self) -> list[Any]:
        """The rows of the first layer's kernel for q, k, q − k, q ⊙ k, (D, hidden[0]) each, and the event fields, (X, hidden[0])."""
        return tf.split(self.kernel.value, [*[self._size] * 4, self.kernel.shape[0] - 4 * self._size])

    def kernels_of_events(self, keys: Any, event_fields: Any = None) -> Any:
        """The first layer as a function of the candidate, for each event: (E, D), … -> (E, D + 1, hidden[0]), whose last row is the bias.

        [q, 1] times such a kernel is what `first_layer` gives. The part that is linear in the candidate, (W_q + W_d) + diag(k) W_p, is one
        kernel an event, so that no pair of candidate and event is written out.
        """
        of_query, of_key, of_difference, of_product, of_fields = self._kernel_blocks()
        once = ops.matmul(keys, of_key - of_difference)  # (E, hidden[0])
        if event_fields is not None:
            once += ops.matmul(event_fields, of_fields)
        of_event = ops.concatenate([keys[:, :, None] * of_product, once[:, None]], axis=1)  # (E, D + 1, hidden[0])
        return of_event + ops.concatenate([of_query + of_difference, self.bias[None]], axis=0)

    def dense_chain(self) -> DenseChain:
        """Its linear layers and activations, for `din_trainer.export.fold_dice`."""
        kernels = [self.kernel, *(dense.kernel for dense in self.dense)]
        biases = [self.bias, *(dense.bias for dense in self.dense)]
        return DenseChain(list(zip(kernels, biases, self.activations, strict=True)), self.score.kernel, adds_once=True)

    def compute_output_shape(self, query_shape: Any, keys_shape: Any = None, rows_shape: Any = None, event_fields_shape: Any = None) -> Any:
        return (*query_shape[:-1], query_shape[-1] + (event_fields_shape[-1] if event_fields_shape else 0))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": self.hidden, "activation": self.activation, "softmax": self.softmax}


def _events(histories: Histories) -> Any:
    """The events' embeddings and further fields: (E, D + X)."""
    _, keys, _, fields = histories
    return keys if fields is None else ops.concatenate([keys, fields], axis=1)


def _without_fields(fields: int) -> Callable[..., Any]:
    """Returns an initializer whose last rows, those of the event fields, are 0.

    Numbers have the deviation 1, and embeddings start some twenty times smaller, so that the fields would hide the keys from the unit.
    """

    def start(shape: Sequence[int], dtype: Any = None) -> Any:
        rows = keras.initializers.GlorotUniform()(shape, dtype)
        return ops.where(ops.arange(shape[0])[:, None] < shape[0] - fields, rows, ops.zeros_like(rows))

    return start


def _softmax_by_row(scores: Any, rows: Any, count: Any) -> Any:
    """Softmax over the events of each row: (E, N) -> (E, N)."""
    highest = ops.stop_gradient(tf.gather(tf.math.unsorted_segment_max(scores, rows, count), rows))
    powers = ops.exp(scores - highest)
    return powers / repeat_by_row(sum_by_row(powers, rows, count), rows)
