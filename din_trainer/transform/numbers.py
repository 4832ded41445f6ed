"""The arithmetic of numbers: clipping, and scaling by the statistics of the training data.

All functions are pure. S slots; a missing number is NaN.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.kinds import Numeric
from din_trainer.transform.tags import bounded

RANKS = 100  # between the quantiles of scale = "quantile"
_MOST_DEVIATIONS = 1e4  # from the mean; numbers are clipped to it, so that no wrong number makes a score overflow
_HOUR = 3600.0


def finite(x: tf.Tensor) -> tf.Tensor:
    """Numbers (S,), NaN instead of those that are infinite."""
    return tf.where(tf.math.is_finite(x), x, tf.cast(float("nan"), x.dtype))


def prepared(x: tf.Tensor, feature: Numeric) -> tf.Tensor:
    """Numbers as they are before they are scaled, clipped and then with their logarithm: (S,) -> (S,) float64.

    Its results are what the statistics are of. In double precision they do not depend on the order in which Beam adds them.
    """
    x = finite(tf.cast(x, tf.float64))
    if feature.clip:
        x = tf.clip_by_value(x, *feature.clip)  # NaN stays
    return tf.sign(x) * tf.math.log1p(tf.abs(x)) if feature.scale == "log" else x


def log_hours(times: tf.Tensor, now: tf.Tensor) -> tf.Tensor:
    """log(1 + hours) from events to their impressions, 0 for later ones: (S,) float64.

    Args:
        times: Of the events, (S,) int64 unix seconds; −1 is missing.
        now: Of their impressions, (S,) int64.
    """
    hours = tf.cast(tf.maximum(now - times, 0), tf.float64) / _HOUR
    return tf.where(tf.equal(times, -1), tf.cast(float("nan"), tf.float64), tf.math.log1p(hours))


def zscore(x: tf.Tensor, statistics: Mapping[str, Any]) -> tf.Tensor:
    """Numbers with mean 0 and deviation 1 in the training data: (S,) float64 -> (S,) float32. A missing number is the mean.

    Args:
        x: Of `prepared` or `log_hours`.
        statistics: `mean` and `variance`, float64. If the variance is 0, only the mean is subtracted.
    """
    centred, deviation = x - statistics["mean"], tf.sqrt(tf.cast(statistics["variance"], tf.float64))
    scaled = tf.where(deviation > 0, centred / deviation, centred)
    scaled = tf.where(tf.math.is_nan(x), tf.zeros_like(x), scaled)
    return tf.cast(tf.clip_by_value(scaled, -_MOST_DEVIATIONS, _MOST_DEVIATIONS), tf.float32)


def minmax(x: tf.Tensor, statistics: Mapping[str, Any]) -> tf.Tensor:
    """Numbers from 0 to 1, by the range in the training data: (S,) float64 -> (S,) float32. A missing number is 0.

    Args:
        x: Of `prepared`.
        statistics: `low` and `high`, float64. If there is nothing between them, the result is 0.
    """
    low, high = (tf.cast(statistics[name], tf.float64) for name in ("low", "high"))
    scaled = tf.clip_by_value((x - low) / (high - low), 0.0, 1.0)
    return tf.cast(tf.where(tf.logical_and(high > low, tf.logical_not(tf.math.is_nan(x))), scaled, tf.zeros_like(x)), tf.float32)


def rank(x: tf.Tensor, statistics: Mapping[str, Any]) -> tf.Tensor:
    """Numbers from 0 to 1, by their rank in the training data: (S,) float64 -> (S,) float32. A missing number is 0.5.

    Args:
        x: Of `prepared`.
        statistics: `quantiles`, (RANKS − 1,) ascending. At the lowest and below it the rank is 0, from the highest on it is 1. Between two
            it is interpolated.
    """
    quantiles = tf.cast(statistics["quantiles"], tf.float64)
    missing = tf.math.is_nan(x)
    ranks = tft.apply_buckets_with_interpolation(tf.where(missing, tf.zeros_like(x), x), quantiles[tf.newaxis])
    return tf.cast(tf.where(missing, tf.fill(tf.shape(x), tf.cast(0.5, x.dtype)), ranks), tf.float32)


_SCALES = {"zscore": zscore, "log": zscore, "minmax": minmax, "quantile": rank}


def scaled(x: tf.Tensor, feature: Numeric, statistics: Mapping[str, Any]) -> tf.Tensor:
    """What the model reads of a number: (S,) float32, or (S, 2) with an indicator, which is 1 where the number is missing.

    Args:
        x: Of `prepared`.
        feature: The number.
        statistics: Of `prepared` numbers in the training data: what its scale needs.
    """
    result = _SCALES[feature.scale](x, statistics)
    return tf.stack([result, tf.cast(tf.math.is_nan(x), tf.float32)], axis=1) if feature.indicator else result


def vector(x: tf.Tensor) -> tf.Tensor:
    """A vector as the model reads it: (S, size) float32 within ±10⁶, 0 where a float is missing or infinite."""
    return bounded(x)
