"""The two layers that Keras does not have: Dice and the attention unit."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

_PACKAGE = "din_trainer"


def _masked_moments(x: Any, mask: Any | None) -> tuple[Any, Any, Any]:
    """Mean and variance over all axes but the last, and the number of positions they rest on.

    Args:
        x: (…, D).
        mask: (…) bool, true at real positions; None means all are real.

    Returns:
        mean (D,), variance (D,), count ().
    """
    axes = list(range(len(x.shape) - 1))
    if mask is None:
        mean, variance = ops.moments(x, axes=axes)
        return mean, variance, ops.prod(ops.shape(x)[:-1])
    weight = ops.expand_dims(ops.cast(mask, x.dtype), -1)  # (…, 1)
    count = ops.sum(weight)
    divisor = ops.maximum(count, 1.0)
    mean = ops.sum(x * weight, axis=axes) / divisor
    variance = ops.sum(ops.square(x - mean) * weight, axis=axes) / divisor
    return mean, variance, count


@keras.saving.register_keras_serializable(_PACKAGE)
class Dice(keras.layers.Layer):
    """Data-adaptive activation: `p(s)·s + (1 − p(s))·α·s` with `p(s) = σ((s − E[s]) / √(Var[s] + ε))`, a channel at a time.

    In training E and Var are those of the batch; at inference they are moving averages, so that a score does not depend on its batch mates.
    The averages are bias-corrected as Adam's are (they start at zero and are divided by the weight gathered so far): after ten steps they
    are the statistics of ten steps, not of the initial values. Padded positions take no part in either.

    Args:
        momentum: Share of the moving averages kept a step.
        epsilon: ε.

    Input shape: (…, D). Output shape: the same.

    Example:
        y = Dice()(x, mask=mask, training=True)  # x (B, L, D), mask (B, L)

    References:
        Zhou et al., 2018, arXiv 1706.06978v4, section 5.3, equation 9; ε = 1e-8 there.
    """

    def __init__(self, momentum: float = 0.99, epsilon: float = 1e-8, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1); received {momentum}")
        self.momentum = momentum
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] is None:
            raise ValueError(f"Dice needs a known last dimension; received shape {tuple(input_shape)}")
        channels = (input_shape[-1],)
        self.alpha = self.add_weight(name="alpha", shape=channels, initializer="zeros")
        self.moving_mean = self.add_weight(name="moving_mean", shape=channels, initializer="zeros", trainable=False)
        self.moving_variance = self.add_weight(name="moving_variance", shape=channels, initializer="zeros", trainable=False)
        self.moving_weight = self.add_weight(name="moving_weight", shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any, mask: Any | None = None, training: bool = False) -> Any:
        if training:
            mean, variance, count = _masked_moments(x, mask)
            self._update(mean, variance, count)
        else:
            mean, variance = self._statistics()
        gate = ops.sigmoid((x - mean) * ops.rsqrt(variance + self.epsilon))
        return x * (self.alpha + (1.0 - self.alpha) * gate)

    def _update(self, mean: Any, variance: Any, count: Any) -> None:
        rate = ops.where(count > 0, 1.0 - self.momentum, 0.0)  # a batch without any real position teaches nothing
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance), (self.moving_weight, 1.0)):
            average.assign(average + rate * (ops.stop_gradient(value) - average))

    def _statistics(self) -> tuple[Any, Any]:
        """Bias-corrected moving averages; mean 0 and variance 1 before the first step."""
        seen = self.moving_weight > 0
        weight = ops.where(seen, self.moving_weight, 1.0)
        return self.moving_mean / weight, ops.where(seen, self.moving_variance / weight, 1.0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}


def make_activation(name: str, layer_name: str) -> keras.layers.Layer:
    """`dice`, or any activation that Keras knows, as a layer."""
    return Dice(name=layer_name) if name == "dice" else keras.layers.Activation(name, name=layer_name)


def activate(layer: keras.layers.Layer, x: Any, mask: Any | None, training: bool) -> Any:
    """Applies an activation layer; Dice alone has statistics to keep clear of padding."""
    return layer(x, mask=mask, training=training) if isinstance(layer, Dice) else layer(x)


@keras.saving.register_keras_serializable(_PACKAGE)
class AttentionUnit(keras.layers.Layer):
    """Local activation: the history summed with weights that depend on the candidate.

    A small MLP scores each event from [query, key, query − key, query ⊙ key]. The weights are not normalised, so that their sum keeps the
    intensity of interest; padded events weigh nothing, and an empty history yields the zero vector.

    Args:
        hidden: Sizes of the MLP's hidden layers.
        activation: `dice` or the name of a Keras activation.

    Call arguments:
        query: (B, D), the candidate.
        keys: (B, L, D), the history.
        mask: (B, L) bool, true at real events.

    Output shape: (B, D).

    References:
        Zhou et al., 2018, arXiv 1706.06978v4, section 4.3, equation 3 and figure 2.
    """

    def __init__(self, hidden: Sequence[int] = (80, 40), activation: str = "dice", **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden = tuple(hidden)
        self.activation = activation
        self.dense = [keras.layers.Dense(units, name=f"dense_{i}") for i, units in enumerate(self.hidden)]
        self.activations = [make_activation(activation, f"activation_{i}") for i in range(len(self.hidden))]
        self.score = keras.layers.Dense(1, name="score")

    def build(self, query_shape: tuple[int | None, ...], keys_shape: tuple[int | None, ...], mask_shape: Any = None) -> None:
        if query_shape[-1] != keys_shape[-1]:
            raise ValueError(f"query and keys must have one size; received {tuple(query_shape)} and {tuple(keys_shape)}")
        shape: tuple[int | None, ...] = (*keys_shape[:-1], 4 * query_shape[-1])  # type: ignore[operator]
        for dense, activation in zip(self.dense, self.activations, strict=True):
            dense.build(shape)
            shape = (*shape[:-1], dense.units)
            activation.build(shape)
        self.score.build(shape)

    def weights_of(self, query: Any, keys: Any, mask: Any, training: bool = False) -> Any:
        """The weight of each event, (B, L); 0 where there is none."""
        q = ops.broadcast_to(ops.expand_dims(query, 1), ops.shape(keys))  # (B, D) -> (B, L, D)
        x = ops.concatenate([q, keys, q - keys, q * keys], axis=-1)  # (B, L, 4D)
        for dense, activation in zip(self.dense, self.activations, strict=True):
            x = activate(activation, dense(x), mask, training)  # (B, L, units)
        scores = ops.squeeze(self.score(x), -1)  # (B, L, 1) -> (B, L)
        return ops.where(mask, scores, 0.0)

    def call(self, query: Any, keys: Any, mask: Any, training: bool = False) -> Any:
        weights = self.weights_of(query, keys, mask, training)
        return ops.squeeze(ops.matmul(ops.expand_dims(weights, 1), keys), 1)  # (B, 1, L) × (B, L, D) -> (B, D)

    def compute_output_shape(self, query_shape: tuple[int | None, ...], keys_shape: Any = None, mask_shape: Any = None) -> Any:
        return query_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": self.hidden, "activation": self.activation}
