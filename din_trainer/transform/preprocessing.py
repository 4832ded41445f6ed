"""The Transform code: turns raw impressions into ids and numbers.

Ids after Transform: 0 is padding and nothing else, 1…V the vocabulary, most frequent value in train/ first, then out-of-vocabulary buckets.
"""

from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.config import COUNTS_KEY, FEATURES_KEY, START_KEY
from din_trainer.features import HISTORICAL_TIMESTAMPS, LABEL, PADDING_ID, SAMPLE_WEIGHT, TIME_GAPS, TIMESTAMP, FeatureConfig
from din_trainer.kinds import MISSING, Vocabulary
from din_trainer.transform import vocabularies
from din_trainer.transform.scales import Scale, scale
from din_trainer.transform.start_values import StartValues

_HOUR = 3600.0
_MOST_DEVIATIONS = 1e4  # from the mean; numbers are clipped to it, so that no wrong number makes a score overflow


def table_size(vocabulary: Vocabulary, known_values: int) -> int:
    """Embedding rows: padding, the known values and the out-of-vocabulary buckets."""
    return 1 + known_values + vocabulary.oov_buckets


def counts_name(vocabulary: str) -> str:
    """The Transform asset with the counts of a vocabulary: one line `count value` for each value, in the order of the ids."""
    return f"{vocabulary}_counts"


class _Analysis(NamedTuple):
    """How the training data is analysed.

    Attributes:
        with_counts: Whether to write the counts of the vocabularies.
        start: The vocabularies of the start model; None without a warm start.
        scales: The scales of the start model, by number.
    """

    with_counts: bool
    start: StartValues | None
    scales: dict[str, Scale]

    def vocabulary(self, values: tf.Tensor, name: str, vocabulary: Vocabulary) -> Any:
        counts = counts_name(name) if self.with_counts else None
        return vocabularies.vocabulary(values, name, vocabulary.min_count, counts, self.start)

    def scale(self, x: tf.SparseTensor, name: str) -> tf.SparseTensor:
        return scale(x, name, self.scales.get(name))


def _analysis(custom_config: dict[str, Any]) -> _Analysis:
    start = custom_config.get(START_KEY)
    if not start:
        return _Analysis(custom_config[COUNTS_KEY], None, {})
    scales = {name: Scale(*statistics) for name, statistics in start["scales"].items()}
    return _Analysis(custom_config[COUNTS_KEY], StartValues(**start["values"]), scales)


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


def _behaviours(inputs: dict[str, Any], name: str, features: FeatureConfig, analysis: _Analysis) -> dict[str, tf.Tensor]:
    """The candidate fields (B,) and histories (B, L) that use a vocabulary."""
    vocabulary = features.behaviours[name]
    used_by = [raw for raw, own in features.vocabulary_by_feature.items() if own == name]
    values = [x.values if isinstance(x, tf.SparseTensor) else x for x in (inputs[raw] for raw in used_by)]
    file = analysis.vocabulary(tf.concat(values, axis=0), name, vocabulary)
    ids = {raw: _ids(inputs[raw], file, vocabulary) for raw in used_by}
    return {raw: _most_recent(x, features.history_length) if isinstance(x, tf.SparseTensor) else x for raw, x in ids.items()}


def _time_gaps(inputs: dict[str, Any], length: int, analysis: _Analysis) -> tf.Tensor:
    """log(1 + hours) from each event to the impression, scaled to mean 0 and deviation 1: (B, L)."""
    events = inputs[HISTORICAL_TIMESTAMPS]
    seconds = tf.gather(inputs[TIMESTAMP], events.indices[:, 0]) - events.values
    hours = tf.cast(tf.maximum(seconds, 0), tf.float64) / _HOUR
    scaled = analysis.scale(tf.SparseTensor(events.indices, tf.math.log1p(hours), events.dense_shape), TIME_GAPS)
    return _most_recent(tf.sparse.map_values(tf.cast, scaled, tf.float32), length)


def to_dense(x: tf.Tensor | tf.SparseTensor, default: Any) -> tf.Tensor:
    """One value for each row, `default` where it is missing: (B,)."""
    if isinstance(x, tf.Tensor):
        return x
    narrow = tf.SparseTensor(x.indices, x.values, [x.dense_shape[0], 1])
    return tf.squeeze(tf.sparse.to_dense(narrow, default), 1)


def _side(x: tf.Tensor | tf.SparseTensor, name: str, feature: Any, analysis: _Analysis) -> tf.Tensor:
    if feature.kind == "numeric":
        # In double precision, so that the result does not depend on the order in which Beam adds numbers.
        numbers = tf.sparse.map_values(tf.cast, x, tf.float64)
        scaled = analysis.scale(tf.sparse.retain(numbers, tf.math.is_finite(numbers.values)), name)
        dense = to_dense(scaled, 0.0)  # a missing number is the mean
        return tf.cast(tf.clip_by_value(dense, -_MOST_DEVIATIONS, _MOST_DEVIATIONS), tf.float32)
    dense = to_dense(x, MISSING[feature.dtype])
    known = tf.boolean_mask(dense, tf.not_equal(dense, MISSING[feature.dtype]))  # a missing value has no row of its own
    return _ids(dense, analysis.vocabulary(known, name, feature), feature)


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Transforms a batch of raw impressions. TFX Transform calls it.

    Args:
        inputs: Raw features: required ones (B,), others sparse.
        custom_config: `FeatureConfig` as JSON under `FEATURES_KEY`; under `COUNTS_KEY`, whether to write the counts of the vocabularies;
            for a warm start, under `START_KEY`, `values` (`StartValues` as a dict) and `scales` (mean and variance by number).

    Returns:
        Transformed features by raw name, and the label: ids and label int64 (B,), histories int64 (B, L), numbers float32 (B,). If the
        features are configured so, also time gaps float32 (B, L) and sample weights float32 (B,).
    """
    features = FeatureConfig.model_validate_json(custom_config[FEATURES_KEY])
    analysis = _analysis(custom_config)
    outputs: dict[str, tf.Tensor] = {LABEL: inputs[LABEL]}
    for name, behaviour in features.behaviours.items():
        if not behaviour.vocabulary:
            outputs |= _behaviours(inputs, name, features, analysis)
    if features.time_gap:
        outputs[TIME_GAPS] = _time_gaps(inputs, features.history_length, analysis)
    if features.weight:
        outputs[SAMPLE_WEIGHT] = inputs[features.weight]
    for name, feature in features.side.items():
        outputs[name] = _side(inputs[name], name, feature, analysis)
    return outputs
