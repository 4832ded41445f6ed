"""The two layers of the paper that Keras does not have: Dice and the attention unit.

Both work on real events alone, flat: of a batch's histories only the E events that happened are there, one after the other, each with the
row (the impression) that it belongs to. Padding then costs nothing and can shift no statistic. `flatten_events` makes them from padded ids.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from din_trainer.features import PADDING_ID

_PACKAGE = "din_trainer"


def flatten_events(history: Any) -> Any:
    """Where the events of padded histories are.

    Args:
        history: (B, L) ids; `PADDING_ID` is no event.

    Returns:
        positions (E, 2) int64: row and column of each event, row by row. `tf.gather_nd(history, positions)` are the events themselves.
    """
    return tf.where(ops.not_equal(history, PADDING_ID))


def sum_by_row(x: Any, rows: Any, count: Any) -> Any:
    """Sums the events of each row: (E, …), (E,) ascending -> (count, …); zero where there is none."""
    sums = tf.math.segment_sum(x, rows)  # up to the last row that has an event; many times faster than the unsorted kind
    behind = tf.constant([[0, 1], *[[0, 0]] * (len(x.shape) - 1)])
    padded = tf.pad(sums, behind * (count - rows_of(sums)))
    padded.set_shape([None, *x.shape[1:]])
    return padded


def rows_of(x: Any) -> Any:
    """The first dimension, int32. (`tf.shape(x)[0]` is three more operations, which count where a request is one impression.)"""
    return tf.unstack(tf.shape(x), len(x.shape))[0]


@tf.custom_gradient
def repeat_by_row(x: tf.Tensor, rows: tf.Tensor) -> Any:
    """The row of each event: (B, D), (E,) ascending -> (E, D). `tf.gather`, but for the gradient, which is `sum_by_row`."""
    return tf.gather(x, rows), lambda dy: (sum_by_row(dy, rows, tf.shape(x)[0]), None)


@tf.custom_gradient
def _dice_of_batch(x: tf.Tensor, alpha: tf.Tensor, epsilon: float) -> Any:
    """Equation 9 with the batch's own statistics, and its gradient, in as few passes over (N, D) as there are.

    Args:
        x: (N, D).
        alpha: (D,).
        epsilon: ε.

    Returns:
        y (N, D), mean (D,), variance (D,). No gradient flows through the latter two, which are for the moving averages.
    """
    count = tf.maximum(tf.cast(tf.shape(x)[0], x.dtype), 1.0)
    mean = tf.reduce_sum(x, 0) / count
    centred = x - mean
    variance = tf.reduce_sum(tf.square(centred), 0) / count
    scale = tf.math.rsqrt(variance + epsilon)
    normalised = centred * scale
    gate = tf.sigmoid(normalised)
    slope = (1.0 - alpha) * gate + alpha  # y = x · slope

    def gradient(dy: tf.Tensor, _mean: tf.Tensor, _variance: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, None]:
        through = dy * x
        d_alpha = tf.reduce_sum(through, 0) - tf.reduce_sum(through * gate, 0)
        d_normalised = tf.raw_ops.SigmoidGrad(y=gate, dy=through)  # but for the factor 1 − α
        # as in batch normalisation: mean and variance depend on x too
        factor = (1.0 - alpha) * scale
        shift = factor / count * tf.reduce_sum(d_normalised, 0)
        stretch = factor / count * tf.reduce_sum(d_normalised * normalised, 0)
        return dy * slope + factor * d_normalised - (stretch * normalised + shift), d_alpha, None

    return (x * slope, mean, variance), gradient


class FoldedDice(NamedTuple):
    """Dice on what `din_trainer.folding` leaves of the layer before it: (x + bias) · (σ(x + shift) + offset), each (D,)."""

    bias: Any
    shift: Any
    offset: Any


@keras.saving.register_keras_serializable(_PACKAGE)
class Dice(keras.layers.Layer):
    """Data-adaptive activation: `p(s)·s + (1 − p(s))·α·s` with `p(s) = σ((s − E[s]) / √(Var[s] + ε))`, a channel at a time.

    In training E and Var are those of the batch; at inference they are moving averages, so that a score does not depend on its batch mates.
    The averages are bias-corrected as Adam's are (they start at zero and are divided by the weight gathered so far): after ten steps they
    are the statistics of ten steps, not of the initial values.

    Args:
        momentum: Share of the moving averages kept a step.
        epsilon: ε.

    Input shape: (N, D), real positions alone: see `flatten_events`. Output shape: the same.

    Example:
        y = Dice()(x, training=True)  # x (N, D)

    References:
        Zhou et al., 2018, arXiv 1706.06978v4, section 5.3, equation 9; ε = 1e-8 there.
    """

    def __init__(self, momentum: float = 0.99, epsilon: float = 1e-8, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1); received {momentum}")
        self.momentum = momentum
        self.epsilon = epsilon
        self.folded: FoldedDice | None = None  # set by din_trainer.folding while a serving graph is traced

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(f"Dice takes real positions, (N, D) with a known D; received shape {tuple(input_shape)}")
        channels = (input_shape[-1],)
        self.alpha = self.add_weight(name="alpha", shape=channels, initializer="zeros")
        # rows: mean, variance, and the weight that these two have gathered so far
        self.moving = self.add_weight(name="moving", shape=(3, *channels), initializer="zeros", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            y, mean, variance = _dice_of_batch(x, tf.identity(self.alpha.value), self.epsilon)
            self._update(mean, variance, ops.shape(x)[0])
            return y
        if self.folded is not None:
            return (x + self.folded.bias) * (ops.sigmoid(x + self.folded.shift) + self.folded.offset)
        mean, variance = self.statistics()
        gate = ops.sigmoid((x - mean) * ops.rsqrt(variance + self.epsilon))
        return x * ((1.0 - self.alpha) * gate + self.alpha)

    def _update(self, mean: Any, variance: Any, count: Any) -> None:
        rate = (1.0 - self.momentum) * ops.cast(ops.minimum(count, 1), mean.dtype)  # a batch without any event teaches nothing
        self.moving.assign_add(rate * (ops.stack([mean, variance, ops.ones_like(mean)]) - self.moving))

    def statistics(self) -> tuple[Any, Any]:
        """The bias-corrected moving averages, mean (D,) and variance (D,); 0 and 1 before the first step."""
        mean, variance, weight = ops.unstack(ops.convert_to_tensor(self.moving), 3)
        seen = weight > 0
        weight = ops.where(seen, weight, 1.0)
        return mean / weight, ops.where(seen, variance / weight, 1.0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}


class Chain(NamedTuple):
    """Linear layers with activations, one after the other.

    Attributes:
        hidden: Kernel, bias and activation layer of each.
        last: Kernel of the linear layer behind them.
    """

    hidden: list[tuple[Any, Any, keras.layers.Layer]]
    last: Any


def make_activation(name: str, layer_name: str) -> keras.layers.Layer:
    """`dice` (equation 9), `prelu` (equation 8), or any activation that Keras knows, as a layer on (N, D)."""
    if name == "dice":
        return Dice(name=layer_name)
    return keras.layers.PReLU(name=layer_name) if name == "prelu" else keras.layers.Activation(name, name=layer_name)


def activate(layer: keras.layers.Layer, x: Any, training: bool) -> Any:
    """Applies an activation layer; Dice alone has statistics to keep."""
    return layer(x, training=training) if isinstance(layer, Dice) else layer(x)


@keras.saving.register_keras_serializable(_PACKAGE)
class AttentionUnit(keras.layers.Layer):
    """Local activation: the history summed with weights that depend on the candidate.

    A small MLP scores each event from [query, key, query − key, query ⊙ key] and, where given, further numbers of the event. The weights
    are not normalised by default, so that their sum keeps the intensity of interest. An empty history yields the zero vector, either way.

    The first layer never sees that concatenation. With its kernel in four blocks, W_q q + W_k k + W_d (q − k) + W_p (q ⊙ k) is
    (W_q + W_d) q, once an impression, plus (W_k − W_d) k + W_p (q ⊙ k), once an event: half the products and nothing tiled.

    Args:
        hidden: Sizes of the MLP's hidden layers, one at least.
        activation: `dice`, `prelu` or the name of a Keras activation.
        softmax: Normalises the weights of a history by softmax, as the paper advises against.

    Call arguments:
        query: (B, D), the candidates; or (B, N, D), N candidates for each history, at inference.
        keys: (E, D), the events of all histories, row by row.
        rows: (E,) int, the impression that each event belongs to, ascending.
        further: (E, X), numbers of the events, such as the time gap; optional.

    Output shape: that of the query.

    Example:
        positions = flatten_events(history_ids)                   # (B, L) -> (E, 2)
        keys = table(tf.gather_nd(history_ids, positions))        # (E, D)
        interest = AttentionUnit((80, 40))(query, keys, positions[:, 0])

    Raises:
        ValueError: No hidden layer, or query and keys of different sizes.

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

    def build(self, query_shape: Any, keys_shape: Any, rows_shape: Any = None, further_shape: Any = None) -> None:
        if query_shape[-1] != keys_shape[-1]:
            raise ValueError(f"query and keys must have one size; received {tuple(query_shape)} and {tuple(keys_shape)}")
        self._size = query_shape[-1]
        width = 4 * self._size + (further_shape[-1] if further_shape else 0)
        self.kernel = self.add_weight(name="kernel", shape=(width, self.hidden[0]), initializer="glorot_uniform")
        self.bias = self.add_weight(name="bias", shape=(self.hidden[0],), initializer="zeros")
        self.score_bias = self.add_weight(name="score_bias", shape=(), initializer="zeros")
        for units, dense in zip(self.hidden, [*self.dense, self.score], strict=True):
            dense.build((None, units))
        for units, activation in zip(self.hidden, self.activations, strict=True):
            activation.build((None, units))

    def first_layer(self, query: Any, keys: Any, rows: Any, further: Any = None) -> Any:
        """[q, k, q − k, q ⊙ k, further] · kernel + bias, in its split form: (E, hidden[0])."""
        d = self._size
        kernel = ops.convert_to_tensor(self.kernel)
        of_query, of_key, of_difference, of_product = (kernel[i * d : (i + 1) * d] for i in range(4))  # (D, hidden[0])
        once = ops.matmul(query, of_query + of_difference) + self.bias  # (B, hidden[0])
        inputs, blocks = [keys, keys * repeat_by_row(query, rows)], [of_key - of_difference, of_product]
        if further is not None:
            inputs.append(further)
            blocks.append(kernel[4 * d :])
        each = ops.matmul(ops.concatenate(inputs, axis=1), ops.concatenate(blocks, axis=0))  # (E, 2D + X) × (2D + X, hidden[0])
        return each + repeat_by_row(once, rows)

    def first_layer_of_candidates(self, query: Any, keys: Any, rows: Any, further: Any = None) -> Any:
        """The same for N candidates a history: (B, N, D), … -> (E · N, hidden[0]), candidate by candidate.

        What is linear in the candidate, (W_q + W_d) + diag(k) W_p, becomes one kernel an event, so that no pair is ever written out.
        """
        d = self._size
        kernel = ops.convert_to_tensor(self.kernel)
        of_query, of_key, of_difference, of_product = (kernel[i * d : (i + 1) * d] for i in range(4))  # (D, hidden[0])
        kernels = (of_query + of_difference) + keys[:, :, None] * of_product  # (E, D, hidden[0])
        once = ops.matmul(keys, of_key - of_difference) + self.bias  # (E, hidden[0])
        if further is not None:
            once += ops.matmul(further, kernel[4 * d :])
        each = ops.matmul(tf.gather(query, rows), kernels) + once[:, None]  # (E, N, D) × (E, D, hidden[0])
        return ops.reshape(each, (-1, self.hidden[0]))

    def weights_of(self, query: Any, keys: Any, rows: Any, further: Any = None, training: bool = False) -> Any:
        """The weight of each event: (E, 1), or (E, N) for N candidates."""
        of_candidates = len(query.shape) == 3
        first = self.first_layer_of_candidates if of_candidates else self.first_layer
        x = activate(self.activations[0], first(query, keys, rows, further), training)
        for dense, activation in zip(self.dense, self.activations[1:], strict=True):
            x = activate(activation, dense(x), training)  # (E, units), or (E · N, units)
        scores = self.score(x) + self.score_bias
        if of_candidates:
            scores = ops.reshape(scores, (ops.shape(keys)[0], ops.shape(query)[1]))
        return _softmax_by_row(scores, rows, ops.shape(query)[0]) if self.softmax else scores

    def call(self, query: Any, keys: Any, rows: Any, further: Any = None, training: bool = False) -> Any:
        weights = self.weights_of(query, keys, rows, further, training)
        weighted = weights * keys if len(query.shape) == 2 else weights[:, :, None] * keys[:, None]
        return sum_by_row(weighted, rows, rows_of(query))

    def chain(self) -> "Chain":
        """Its linear layers and activations, for `din_trainer.folding`."""
        kernels = [self.kernel, *(dense.kernel for dense in self.dense)]
        biases = [self.bias, *(dense.bias for dense in self.dense)]
        return Chain(list(zip(kernels, biases, self.activations, strict=True)), self.score.kernel)

    def compute_output_shape(self, query_shape: Any, keys_shape: Any = None, rows_shape: Any = None, further_shape: Any = None) -> Any:
        return query_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": self.hidden, "activation": self.activation, "softmax": self.softmax}


def _softmax_by_row(scores: Any, rows: Any, count: Any) -> Any:
    """Softmax over the events of each row: (E, N) -> (E, N)."""
    highest = ops.stop_gradient(tf.gather(tf.math.unsorted_segment_max(scores, rows, count), rows))
    powers = ops.exp(scores - highest)
    return powers / repeat_by_row(sum_by_row(powers, rows, count), rows)
