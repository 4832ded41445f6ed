"""Features that need no vocabulary: numbers, buckets, hashes and vectors, by Transform's arithmetic and the statistics of its graph."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.features import FeatureConfig, gap_name
from din_trainer.kinds import Bucketized, Hashed, Numeric, TimeGap
from din_trainer.transform import buckets, hashes, numbers
from din_trainer.transform.scales import Statistics, read_statistics


def statistics_of(features: FeatureConfig, transform_output: tft.TFTransformOutput) -> dict[str, Statistics]:
    """Reads the statistics that the numbers of a model need, by their names after Transform, as constants of a graph."""
    names = [p.name for p in features.placed if isinstance(p.feature, Numeric)]
    names += [p.name for p in features.placed if isinstance(p.feature, Bucketized) and not p.feature.boundaries]
    names += [gap_name(p.name) for p in features.placed if isinstance(p.feature, TimeGap)]
    return read_statistics(Path(transform_output.transform_savedmodel_dir).parent, names) if names else {}


def ids_of(feature: Hashed | Bucketized, values: tf.Tensor, statistics: Statistics) -> tf.Tensor:
    """The ids of raw values, in their shape: int64."""
    if isinstance(feature, Hashed):
        return hashes.hash_ids(values, feature.buckets)
    boundaries = feature.boundaries or statistics["quantiles"]
    return _slot_by_slot(values, lambda x: buckets.bucket_ids(x, tf.constant(boundaries, tf.float64)))


def dense_of(feature: Any, values: tf.Tensor, statistics: Statistics) -> tf.Tensor:
    """What the model reads of raw numbers and vectors: their shape, and for numbers one more dimension for their width. float32."""
    if not isinstance(feature, Numeric):
        return numbers.vector(values)
    known = {name: tf.constant(value, tf.float64) for name, value in statistics.items()}
    scaled = _slot_by_slot(values, lambda x: numbers.scaled(numbers.prepared(x, feature), feature, known))
    return scaled if feature.indicator else tf.expand_dims(scaled, -1)


def time_gaps(times: tf.Tensor, now: tf.Tensor, statistics: Statistics) -> tf.Tensor:
    """The time gaps of events: (E,) unix seconds, and those of their impressions (E,) -> (E, 1) float32."""
    known = {name: tf.constant(value, tf.float64) for name, value in statistics.items()}
    return tf.expand_dims(numbers.zscore(numbers.log_hours(times, now), known), 1)


def _slot_by_slot(values: tf.Tensor, function: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Applies a function of (S,) to values of one or two dimensions."""
    if len(values.shape) == 1:
        return function(values)
    result = function(tf.reshape(values, [-1]))
    return tf.reshape(result, tf.concat([tf.shape(values), tf.constant(result.shape[1:].as_list(), tf.int32)], 0))
