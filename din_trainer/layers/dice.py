"""Dice: the activation that adapts to its data (equation 9 of the paper)."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from din_trainer.exchange.collectives import Workers, current


@tf.custom_gradient
def _dice_of_batch(x: tf.Tensor, alpha: tf.Tensor, epsilon: float) -> Any:
    """Equation 9 with the statistics of the batch, and its gradient, in few passes over (N, D).

    Args:
        x: (N, D).
        alpha: (D,).
        epsilon: ε.

    Returns:
        y (N, D), and what the moving averages need, without a gradient: mean (D,), variance (D,), and the number of events. With several
        workers these are of the events of all workers.
    """
    events, workers = tf.shape(x)[0], current()
    count = tf.maximum(tf.cast(events, x.dtype), 1.0)
    mean = tf.reduce_sum(x, 0) / count
    centred = x - mean
    variance = tf.reduce_sum(tf.square(centred), 0) / count
    if workers:
        events, mean, variance = _of_all_workers(workers, events, mean, variance)
        count = tf.maximum(events, 1.0)
        centred = x - mean
    scale = tf.math.rsqrt(variance + epsilon)
    normalised = centred * scale
    gate = tf.sigmoid(normalised)
    slope = (1.0 - alpha) * gate + alpha  # y = x · slope

    def gradient(dy: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, None]:
        through = dy * x
        d_alpha = tf.reduce_sum(through, 0) - tf.reduce_sum(through * gate, 0)
        d_normalised = tf.raw_ops.SigmoidGrad(y=gate, dy=through)  # without the factor 1 − α
        # as in batch normalisation: mean and variance depend on x too
        factor = (1.0 - alpha) * scale
        sums = [tf.reduce_sum(d_normalised, 0), tf.reduce_sum(d_normalised * normalised, 0)]
        if workers:
            sums = tf.unstack(workers.sum(tf.stack(sums)))
        shift = factor / count * sums[0]
        stretch = factor / count * sums[1]
        return dy * slope + factor * d_normalised - (stretch * normalised + shift), d_alpha, None

    return (x * slope, mean, variance, events), gradient


def _of_all_workers(workers: Workers, events: Any, mean: Any, variance: Any) -> tuple[Any, Any, Any]:
    """The number of events of all workers, their mean and variance, from those of this worker (Chan et al., 1979)."""
    own = tf.concat([tf.fill([1, mean.shape[0]], tf.cast(events, mean.dtype)), mean[None], variance[None]], axis=0)
    counts, means, variances = tf.unstack(workers.gather(own), axis=1)  # (workers, D) each
    count = tf.reduce_sum(counts, 0)
    whole = tf.math.divide_no_nan(tf.reduce_sum(counts * means, 0), count)
    squares = tf.reduce_sum(counts * (variances + tf.square(means - whole)), 0)
    return count[0], whole, tf.math.divide_no_nan(squares, count)


class FoldedDice(NamedTuple):
    """The form of Dice that `din_trainer.export.fold_dice` leaves: (x + bias) · (σ(x + shift) + offset), each term (D,)."""

    bias: Any
    shift: Any
    offset: Any


@keras.saving.register_keras_serializable("din_trainer")
class Dice(keras.layers.Layer):
    """Data-adaptive activation: `p(s)·s + (1 − p(s))·α·s` with `p(s) = σ((s − E[s]) / √(Var[s] + ε))`, for each channel.

    In training E and Var are those of the batch. At inference they are moving averages, so that a score does not depend on the rest of its
    batch. The averages are bias-corrected as Adam's are: they start at zero and are divided by the sum of their weights so far. So after
    ten steps they are the statistics of ten steps, without the initial values.

    Args:
        momentum: Share of the moving averages that a step keeps.
        epsilon: ε.

    Input shape: (N, D), without padding: see `flatten_events`. Output shape: the same.

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
            y, mean, variance, events = _dice_of_batch(x, tf.identity(self.alpha.value), self.epsilon)
            self._update(mean, variance, events)
            return y
        if self.folded is not None:
            return (x + self.folded.bias) * (ops.sigmoid(x + self.folded.shift) + self.folded.offset)
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
