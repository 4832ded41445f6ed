"""Vocabularies and statistics made from columns in memory, so that a model reads raw values without the pipeline's Transform."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from din_trainer.features import FeatureConfig
from din_trainer.kinds import Vocabulary
from din_trainer.models.checked_data import check_features
from din_trainer.models.columns_read import raw_columns
from din_trainer.models.raw_forms import as_in_examples
from din_trainer.models.statistics import statistics_of
from din_trainer.transform.preprocessing import table_size, transformed


@keras.saving.register_keras_serializable("din_trainer")
class Vocabularies(keras.layers.Layer):
    """Turns raw values into ids and scaled numbers, with the arithmetic and the meanings that they have in the pipeline.

    Id 0 is padding and nothing else. Known values have the ids from 1, the most frequent first, ties in the order of the values. The
    out-of-vocabulary buckets come last; unknown and missing values (-1, "") belong there. A history keeps its last `history_length`
    events. Numbers are scaled by the statistics of the columns that `fit` got.

    Args:
        features: The feature definition.
        known: The known values of each vocabulary, in the order of their ids.
        statistics: What each number is scaled or put into buckets by, by its name after Transform: `mean` and `variance`, `low` and
            `high`, or `quantiles`.

    Call arguments:
        raw: Raw features as tensors by name.

    Output: What a model without vocabularies reads.

    Raises:
        ValueError: A feature is in a table of `lookups`.

    Example:
        vocabularies = Vocabularies.fit(config.features, train)
        model = make_model(config, vocabularies)
    """

    def __init__(self, features: FeatureConfig, known: Mapping[str, list[Any]], statistics: Mapping[str, Mapping[str, Any]], **kwargs: Any):
        super().__init__(**kwargs)
        _refuse_lookups(features)
        self.features = features
        self.known = {name: list(values) for name, values in known.items()}
        self.statistics = {name: dict(values) for name, values in statistics.items()}
        self.lookups = {name: _lookup(vocabulary, self.known[name]) for name, vocabulary in features.vocabularies.items()}

    @classmethod
    def fit(cls, features: FeatureConfig, data: Any) -> "Vocabularies":
        """Makes vocabularies and statistics of columns: a dict, a pandas DataFrame or another mapping.

        Raises:
            ValueError: A column is missing or holds what it must not; a vocabulary or a number has no value at all.
        """
        _refuse_lookups(features)
        raw = check_features(data, raw_columns(features, history=True))
        _warn_of_zeros(features, raw)
        measured = _Measured({}, {})
        transformed(as_in_examples(raw, features), features, measured)
        return cls(features, measured.known, measured.found)

    def sizes(self) -> dict[str, int]:
        """Embedding rows by vocabulary name."""
        return {name: table_size(vocabulary, len(self.known[name])) for name, vocabulary in self.features.vocabularies.items()}

    def build(self, input_shape: Any = None) -> None:
        """There is nothing to make: the look-ups have their values."""

    def call(self, raw: dict[str, Any]) -> dict[str, Any]:
        return transformed(as_in_examples(raw, self.features), self.features, _Known(self))

    def get_config(self) -> dict[str, Any]:
        own = {"features": self.features.model_dump(mode="json"), "known": self.known, "statistics": self.statistics}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Vocabularies":
        return cls(**{**config, "features": FeatureConfig.model_validate(config["features"])})


class _Ids(NamedTuple):
    """The ids of a vocabulary.

    Attributes:
        lookup: Keras' look-up.
        known: How many values it knows.
        buckets: How many ids all other values share.
    """

    lookup: keras.layers.Layer
    known: int
    buckets: int

    def ids(self, values: tf.Tensor) -> tf.Tensor:
        """Keras' look-up has the buckets first, from 0; here the known values come first, from 1."""
        index = self.lookup(values)
        return tf.where(index < self.buckets, index + 1 + self.known, index - self.buckets + 1)


class _Known(NamedTuple):
    """What the vocabularies have learnt, in the form in which Transform's arithmetic reads it."""

    vocabularies: Vocabularies

    def vocabulary(self, values: tf.Tensor, name: str, vocabulary: Vocabulary, missing: Any) -> _Ids:
        return _Ids(self.vocabularies.lookups[name], len(self.vocabularies.known[name]), vocabulary.oov_buckets)

    def statistics(self, x: tf.Tensor, name: str, feature: Any) -> dict[str, tf.Tensor]:
        return {statistic: tf.constant(value, tf.float64) for statistic, value in self.vocabularies.statistics[name].items()}


class _NoIds:
    """Stands for a vocabulary while nothing but its values is asked for."""

    def ids(self, values: tf.Tensor) -> tf.Tensor:
        return tf.zeros(tf.shape(values), tf.int64)


class _Measured(NamedTuple):
    """Learns while Transform's arithmetic goes through the columns."""

    known: dict[str, list[Any]]
    found: dict[str, dict[str, Any]]

    def vocabulary(self, values: tf.Tensor, name: str, vocabulary: Vocabulary, missing: Any) -> _NoIds:
        array = values.numpy()
        self.known[name] = _frequent(name, array[array != missing], vocabulary)
        return _NoIds()

    def statistics(self, x: tf.Tensor, name: str, feature: Any) -> dict[str, Any]:
        self.found[name] = statistics_of(name, x.numpy(), feature)
        return self.found[name]


def _refuse_lookups(features: FeatureConfig) -> None:
    if features.joined_columns:
        name = features.joined_columns[0].name
        raise ValueError(f"{name} has a lookup, which only the pipeline joins: join the table with pandas, and leave lookup out")


def _warn_of_zeros(features: FeatureConfig, raw: Mapping[str, Any]) -> None:
    for behaviour in features.behaviours.values():
        history, candidates = np.asarray(raw[behaviour.history]), np.asarray(raw[behaviour.candidate])
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
