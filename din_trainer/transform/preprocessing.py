"""The Transform code: turns raw impressions into ids and numbers.

Ids after Transform: 0 is padding and nothing else, 1…V the vocabulary, most frequent value in train/ first, then out-of-vocabulary buckets.
"""

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.config import COUNTS_KEY, FEATURES_KEY
from din_trainer.features import (
    HISTORICAL_TIMESTAMPS,
    LABEL,
    MISSING,
    PADDING_ID,
    SAMPLE_WEIGHT,
    TIME_GAPS,
    TIMESTAMP,
    FeatureConfig,
    SideFeature,
    Vocabulary,
)
from din_trainer.transform import vocabularies

_HOUR = 3600.0
_MOST_DEVIATIONS = 1e4  # from the mean; numbers are clipped to it, so that no wrong number makes a score overflow


def table_size(vocabulary: Vocabulary, known_values: int) -> int:
    """Embedding rows: padding, the known values and the out-of-vocabulary buckets."""
    return 1 + known_values + vocabulary.oov_buckets


def counts_name(vocabulary: str) -> str:
    """The Transform asset with the counts of a vocabulary: one line `count value` for each value, in the order of the ids."""
    return f"{vocabulary}_counts"


def _vocabulary(values: tf.Tensor, name: str, vocabulary: Vocabulary, with_counts: bool) -> Any:
    return vocabularies.vocabulary(values, name, vocabulary.min_count, counts_name(name) if with_counts else None)


def _ids(x: tf.Tensor | tf.SparseTensor, file: Any, vocabulary: Vocabulary) -> Any:
    """Looks up ids from 1, in the shape of `x`."""
    looked_up = tft.apply_vocabulary(x, file, num_oov_buckets=vocabulary.oov_buckets)
    if isinstance(looked_up, tf.SparseTensor):
        return tf.sparse.map_values(tf.add, looked_up, 1)
    return looked_up + 1


def _most_recent(history: tf.SparseTensor, length: int) -> tf.Tensor:
    """The last `length` events, padded on the right: (B, any) -> (B, length)."""
    padding = tf.cast(PADDING_ID, history.dtype)
    return tf.RaggedTensor.from_sparse(history)[:, -length:].to_tensor(padding, shape=[None, length])


def _behaviours(inputs: dict[str, Any], name: str, features: FeatureConfig, with_counts: bool) -> dict[str, tf.Tensor]:
    """The candidate fields (B,) and histories (B, L) that use a vocabulary."""
    vocabulary = features.behaviours[name]
    used_by = [raw for raw, own in features.vocabulary_by_feature.items() if own == name]
    values = [x.values if isinstance(x, tf.SparseTensor) else x for x in (inputs[raw] for raw in used_by)]
    file = _vocabulary(tf.concat(values, axis=0), name, vocabulary, with_counts)
    ids = {raw: _ids(inputs[raw], file, vocabulary) for raw in used_by}
    return {raw: _most_recent(x, features.history_length) if isinstance(x, tf.SparseTensor) else x for raw, x in ids.items()}


def _time_gaps(inputs: dict[str, Any], length: int) -> tf.Tensor:
    """log(1 + hours) from each event to the impression, scaled to mean 0 and deviation 1: (B, L)."""
    events = inputs[HISTORICAL_TIMESTAMPS]
    seconds = tf.gather(inputs[TIMESTAMP], events.indices[:, 0]) - events.values
    hours = tf.cast(tf.maximum(seconds, 0), tf.float64) / _HOUR
    scaled = tft.scale_to_z_score(tf.SparseTensor(events.indices, tf.math.log1p(hours), events.dense_shape))
    return _most_recent(tf.sparse.map_values(tf.cast, scaled, tf.float32), length)


def to_dense(x: tf.Tensor | tf.SparseTensor, default: Any) -> tf.Tensor:
    """One value for each row, `default` where it is missing: (B,)."""
    if isinstance(x, tf.Tensor):
        return x
    narrow = tf.SparseTensor(x.indices, x.values, [x.dense_shape[0], 1])
    return tf.squeeze(tf.sparse.to_dense(narrow, default), 1)


def _side(x: tf.Tensor | tf.SparseTensor, name: str, feature: SideFeature, with_counts: bool) -> tf.Tensor:
    if feature.kind == "numeric":
        # In double precision, so that the result does not depend on the order in which Beam adds numbers.
        numbers = tf.sparse.map_values(tf.cast, x, tf.float64)
        scaled = tft.scale_to_z_score(tf.sparse.retain(numbers, tf.math.is_finite(numbers.values)))
        dense = to_dense(scaled, 0.0)  # a missing number is the mean
        return tf.cast(tf.clip_by_value(dense, -_MOST_DEVIATIONS, _MOST_DEVIATIONS), tf.float32)
    dense = to_dense(x, MISSING[feature.dtype])
    known = tf.boolean_mask(dense, tf.not_equal(dense, MISSING[feature.dtype]))  # a missing value has no row of its own
    return _ids(dense, _vocabulary(known, name, feature, with_counts), feature)


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Transforms a batch of raw impressions. TFX Transform calls it.

    Args:
        inputs: Raw features: required ones (B,), others sparse.
        custom_config: `FeatureConfig` as JSON under `FEATURES_KEY`; under `COUNTS_KEY`, whether to write the counts of the vocabularies.

    Returns:
        Transformed features by raw name, and the label: ids and label int64 (B,), histories int64 (B, L), numbers float32 (B,). If the
        features are configured so, also time gaps float32 (B, L) and sample weights float32 (B,).
    """
    features = FeatureConfig.model_validate_json(custom_config[FEATURES_KEY])
    with_counts = custom_config[COUNTS_KEY]
    outputs: dict[str, tf.Tensor] = {LABEL: inputs[LABEL]}
    for name, behaviour in features.behaviours.items():
        if not behaviour.vocabulary:
            outputs |= _behaviours(inputs, name, features, with_counts)
    if features.time_gap:
        outputs[TIME_GAPS] = _time_gaps(inputs, features.history_length)
    if features.weight:
        outputs[SAMPLE_WEIGHT] = inputs[features.weight]
    for name, feature in features.side.items():
        outputs[name] = _side(inputs[name], name, feature, with_counts)
    return outputs
