"""Dice: the activation that adapts to its data (equation 9 of the paper)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from din_trainer.exchange.collectives import current
from din_trainer.layers.events import rows_of


def _dice_of_events(parts: Sequence[tf.Tensor], alpha: tf.Tensor, epsilon: float) -> tuple[list[tf.Tensor], Any, Any, Any]:
    """Equation 9 with the statistics of all events, and its gradient.

    Plain products and sums in their order here are the fastest of what was tried: sigmoid by tanh, and scale and offset in one operation of
    batch normalisation, make a training step up to 1.6 times longer.

    Args:
        parts: The events in parts, (N, D) each.
        alpha: (D,).
        epsilon: ε.

    Returns:
        y, in the same parts, and what the moving averages need, without a gradient: mean (D,), variance (D,), and the number of events.
        With several workers these are of the events of all workers.
    """

    @tf.custom_gradient
    def dice(alpha: tf.Tensor, *parts: tf.Tensor) -> Any:
        workers = current()
        moments = tf.stack([_moments(x) for x in parts])  # (parts, 3, D)
        if workers:
            (moments,) = workers.concatenate([moments])
        events, mean, variance = _of_all_parts(moments)
        scale = tf.math.rsqrt(variance + epsilon)
        normalised = [(x - mean) * scale for x in parts]
        gates = [tf.sigmoid(z) for z in normalised]
        slopes = [(1.0 - alpha) * gate + alpha for gate in gates]

        def gradient(*dy: tf.Tensor) -> tuple[tf.Tensor, ...]:
            of_parts = dy[: len(parts)]
            through = [d * x for d, x in zip(of_parts, parts, strict=True)]
            d_alpha = tf.add_n([tf.reduce_sum(t, 0) - tf.reduce_sum(t * gate, 0) for t, gate in zip(through, gates, strict=True)])
            d_normalised = [
                tf.raw_ops.SigmoidGrad(y=gate, dy=t) for t, gate in zip(through, gates, strict=True)
            ]  # without the factor 1 − α
            # as in batch normalisation: mean and variance depend on x too
            sums = tf.stack([
                tf.add_n([tf.reduce_sum(d, 0) for d in d_normalised]),
                tf.add_n([tf.reduce_sum(d * z, 0) for d, z in zip(d_normalised, normalised, strict=True)]),
            ])  # fmt: skip
            total, along = tf.unstack(workers.sum(sums) if workers else sums)
            factor = (1.0 - alpha) * scale
            shift, stretch = (factor / tf.maximum(events, 1.0) * x for x in (total, along))
            d_parts = [
                d * slope + factor * d_z - (stretch * z + shift)
                for d, slope, d_z, z in zip(of_parts, slopes, d_normalised, normalised, strict=True)
            ]
            return d_alpha, *d_parts

        return (*(x * slope for x, slope in zip(parts, slopes, strict=True)), mean, variance, events), gradient

    *y, mean, variance, events = dice(alpha, *parts)
    return y, mean, variance, events


def _moments(x: tf.Tensor) -> tf.Tensor:
    """The number of events, their mean and variance: (N, D) -> (3, D)."""
    events = tf.cast(rows_of(x), x.dtype)
    count = tf.maximum(events, 1.0)
    mean = tf.reduce_sum(x, 0) / count
    return tf.stack([tf.fill([x.shape[1]], events), mean, tf.reduce_sum(tf.math.squared_difference(x, mean), 0) / count])


def _of_all_parts(moments: tf.Tensor) -> tuple[Any, Any, Any]:
    """The number of all events, their mean and variance, from those of each part, (parts, 3, D) (Chan et al., 1979)."""
    counts, means, variances = tf.unstack(moments, axis=1)  # (parts, D) each
    count = tf.reduce_sum(counts, 0)
    mean = tf.math.divide_no_nan(tf.reduce_sum(counts * means, 0), count)
    squares = tf.reduce_sum(counts * (variances + tf.square(means - mean)), 0)
    return count[0], mean, tf.math.divide_no_nan(squares, count)


class FoldedDice(NamedTuple):
    """The form of Dice that `din_trainer.export.fold_dice` leaves: (x + bias) · (tanh(x + shift) + offset), each term (D,).

    Without a shift it is (x + bias) · (tanh(x) + offset).
    """

    bias: Any
    shift: Any
    offset: Any

    def of(self, x: Any) -> Any:
        """Computes it: (N, D) -> (N, D)."""
        return (x + self.bias) * (ops.tanh(x if self.shift is None else x + self.shift) + self.offset)


@keras.saving.register_keras_serializable("din_trainer")
class Dice(keras.layers.Layer):
    """Data-adaptive activation: `p(s)·s + (1 − p(s))·α·s` with `p(s) = σ((s − E[s]) / √(Var[s] + ε))`, for each channel.

    In training E and Var are those of the batch. At inference they are moving averages, so that a score does not depend on the rest of its
    batch. The averages are bias-corrected as Adam's are: they start at zero and are divided by the sum of their weights so far. So after
    ten steps they are the statistics of ten steps, without the initial values.

    Args:
        momentum: Share of the moving averages that a step keeps.
        epsilon: ε.

    Input shape: (N, D), without padding: see `flatten_events`. Or a list of them, the parts of a batch: see `din_trainer.layers.parts`.
        Output shape: the same.

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
        self.folded: FoldedDice | None = None  # set by din_trainer.export.fold_dice while a serving graph is traced

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(f"Dice takes events without padding, (N, D) with a known D; received shape {tuple(input_shape)}")
        channels = (input_shape[-1],)
        self.alpha = self.add_weight(name="alpha", shape=channels, initializer="zeros")
        # rows: mean, variance, and the sum of the weights of both so far
        self.moving = self.add_weight(name="moving", shape=(3, *channels), initializer="zeros", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            parts = x if isinstance(x, list) else [x]
            y, mean, variance, events = _dice_of_events(parts, tf.identity(self.alpha.value), self.epsilon)
            self._update(mean, variance, events)
            return y if isinstance(x, list) else y[0]
        return [self._at_inference(part) for part in x] if isinstance(x, list) else self._at_inference(x)

    def _at_inference(self, x: Any) -> Any:
        if self.folded is not None:
            return self.folded.of(x)
        mean, variance = self.statistics()
        gate = ops.sigmoid((x - mean) * ops.rsqrt(variance + self.epsilon))
        return x * ((1.0 - self.alpha) * gate + self.alpha)

    def _update(self, mean: Any, variance: Any, count: Any) -> None:
        rate = (1.0 - self.momentum) * ops.cast(ops.minimum(count, 1), mean.dtype)  # 0 for a batch without events
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
