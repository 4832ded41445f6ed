"""Vocabularies and scales made from columns in memory, so that a model reads raw values without the pipeline's Transform."""

import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from din_trainer.features import HISTORICAL_TIMESTAMPS, PADDING_ID, TIME_GAPS, TIMESTAMP, FeatureConfig
from din_trainer.kinds import Vocabulary
from din_trainer.models.checked_data import check_features
from din_trainer.models.columns_read import raw_columns
from din_trainer.transform.preprocessing import table_size

_HOUR = 3600.0
_MOST_DEVIATIONS = 1e4  # as in the pipeline: larger numbers are clipped to it


@keras.saving.register_keras_serializable("din_trainer")
class Vocabularies(keras.layers.Layer):
    """Turns raw values into ids and scaled numbers, with the meanings that they have in the pipeline.

    Id 0 is padding and nothing else. Known values have the ids from 1, the most frequent first, ties in the order of the values. The
    out-of-vocabulary buckets come last; unknown and missing values (-1, "") belong there. A history keeps its last `history_length`
    events. Numbers are scaled to mean 0 and deviation 1, and a missing one (NaN) is the mean.

    Args:
        features: The feature definition.
        known: The known values of each vocabulary, in the order of their ids.
        scales: Mean and deviation of each numeric feature, and of the time gaps.

    Call arguments:
        raw: Raw features as tensors by name.

    Output: What a model without vocabularies reads.

    Example:
        vocabularies = Vocabularies.fit(config.features, train)
        model = make_model(config, vocabularies)
    """

    def __init__(self, features: FeatureConfig, known: Mapping[str, list[Any]], scales: Mapping[str, tuple[float, float]], **kwargs: Any):
        super().__init__(**kwargs)
        self.features = features
        self.known = {name: list(values) for name, values in known.items()}
        self.scales = dict(scales)
        self.lookups = {name: _lookup(vocabulary, self.known[name]) for name, vocabulary in features.vocabularies.items()}

    @classmethod
    def fit(cls, features: FeatureConfig, data: Any) -> "Vocabularies":
        """Makes vocabularies and scales of columns: a dict, a pandas DataFrame or another mapping.

        Raises:
            ValueError: A column is missing or holds what it must not; a vocabulary or a number has no value at all.
        """
        columns = raw_columns(features, history=True)
        raw = {name: np.asarray(values) for name, values in check_features(data, columns).items()}
        missing = {column.name: column.missing for column in columns}
        _warn_of_zeros(features, raw)
        known = {}
        for name, vocabulary in features.vocabularies.items():
            fed = [feature for feature, own in features.vocabulary_by_feature.items() if own == name]
            values = np.concatenate([raw[feature].ravel() for feature in fed])
            known[name] = _frequent(name, values[values != missing[fed[0]]], vocabulary)
        scales = {name: _scale(name, raw[name][~np.isnan(raw[name])]) for name, f in features.side.items() if f.kind == "numeric"}
        if features.time_gap:
            events = raw[HISTORICAL_TIMESTAMPS] != -1
            gaps = (raw[TIMESTAMP][:, None] - raw[HISTORICAL_TIMESTAMPS])[events]
            scales[TIME_GAPS] = _scale(TIME_GAPS, np.log1p(np.maximum(gaps, 0) / _HOUR))
        return cls(features, known, scales)

    def sizes(self) -> dict[str, int]:
        """Embedding rows by vocabulary name."""
        return {name: table_size(vocabulary, len(self.known[name])) for name, vocabulary in self.features.vocabularies.items()}

    def build(self, input_shape: Any = None) -> None:
        """There is nothing to make: the look-ups have their values."""

    def call(self, raw: dict[str, Any]) -> dict[str, Any]:
        result = {}
        by_feature = self.features.vocabulary_by_feature
        for behaviours in self.features.sequences.values():
            first = next(iter(behaviours.values())).history
            if first not in raw:
                continue  # a model without histories
            kept = self._kept(raw[first])
            for behaviour in behaviours.values():
                ids = self._ids(by_feature[behaviour.history], raw[behaviour.history])
                result[behaviour.history] = tf.where(kept, ids, tf.cast(PADDING_ID, tf.int64))
        for name, vocabulary in by_feature.items():
            if name not in result and name in raw:
                result[name] = self._ids(vocabulary, raw[name])
        if HISTORICAL_TIMESTAMPS in raw:
            seconds = tf.maximum(raw[TIMESTAMP][:, None] - raw[HISTORICAL_TIMESTAMPS], 0)
            result[TIME_GAPS] = self._scaled(TIME_GAPS, tf.math.log1p(tf.cast(seconds, tf.float32) / _HOUR))
        numbers = [name for name, feature in self.features.side.items() if feature.kind == "numeric"]
        return result | {name: self._scaled(name, raw[name]) for name in numbers}

    def _kept(self, history: tf.Tensor) -> tf.Tensor:
        """Which places hold one of the last events: (B, L) bool."""
        present = history != ("" if history.dtype == tf.string else tf.cast(-1, history.dtype))
        later = tf.cumsum(tf.cast(present, tf.int32), axis=1, exclusive=True, reverse=True)
        return present & (later < self.features.history_length)

    def _ids(self, name: str, values: tf.Tensor) -> tf.Tensor:
        """Keras' look-up has the buckets first, from 0; here the known values come first, from 1."""
        buckets, known = self.features.vocabularies[name].oov_buckets, len(self.known[name])
        index = self.lookups[name](values)
        return tf.where(index < buckets, index + 1 + known, index - buckets + 1)

    def _scaled(self, name: str, numbers: tf.Tensor) -> tf.Tensor:
        mean, deviation = self.scales[name]
        scaled = tf.clip_by_value((numbers - mean) / deviation, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
        return tf.where(tf.math.is_nan(numbers), 0.0, scaled)

    def get_config(self) -> dict[str, Any]:
        own = {"features": self.features.model_dump(mode="json"), "known": self.known, "scales": self.scales}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Vocabularies":
        return cls(**{**config, "features": FeatureConfig.model_validate(config["features"])})


def _warn_of_zeros(features: FeatureConfig, raw: Mapping[str, np.ndarray]) -> None:
    for behaviour in features.behaviours.values():
        history, candidates = raw[behaviour.history], raw[behaviour.candidate]
        if history.dtype == np.int64 and (history == 0).any() and not (candidates == 0).any():
            advice = "if it pads the histories, give lists, or pad with -1"
            warnings.warn(f"{behaviour.history} holds the id 0, which {behaviour.candidate} never has: {advice}", stacklevel=3)


def _lookup(vocabulary: Vocabulary, known: list[Any]) -> keras.layers.Layer:
    if vocabulary.dtype == "int64":
        return keras.layers.IntegerLookup(num_oov_indices=vocabulary.oov_buckets, vocabulary=known, oov_token=-1)
    return keras.layers.StringLookup(num_oov_indices=vocabulary.oov_buckets, vocabulary=known, oov_token="")


def _frequent(name: str, values: np.ndarray, vocabulary: Vocabulary) -> list[Any]:
    """The values that occur often enough, the most frequent first."""
    found, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = found[order][counts[order] >= vocabulary.min_count].tolist()
    if not kept:
        raise ValueError(f"the vocabulary of {name} is empty: no value occurs {vocabulary.min_count} times")
    if vocabulary.dtype == "int64":
        return kept
    try:
        return [value.decode() for value in kept]
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: {error.object!r} is not UTF-8 text") from None


def _scale(name: str, numbers: np.ndarray) -> tuple[float, float]:
    """Mean and deviation; 1 for numbers that do not differ."""
    if not len(numbers):
        raise ValueError(f"{name} has no value in any row")
    return float(np.mean(numbers, dtype=np.float64)), float(np.std(numbers, dtype=np.float64)) or 1.0
