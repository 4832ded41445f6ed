"""Reads requests in the exported model: turns raw features, serialised or as tensors, into the inputs of the model.

It does the same as Transform, in fewer operations: it cuts histories to their most recent events before it looks up their ids, and does not
pad them. Numbers and time gaps go through Transform's own graph, which has their means and deviations. Sameness checks before every push
that both ways give the same score.

B impressions a request, T raw events of a padded history, E events that are kept, L the most that are kept of one history.
"""

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.export.vocabulary_lookups import VocabularyLookups
from din_trainer.features import HISTORICAL_TIMESTAMPS, TIME_GAPS, TIMESTAMP, Column, FeatureConfig
from din_trainer.models.model_inputs import ModelInputs
from din_trainer.transform.preprocessing import missing_value, to_dense

DTYPES = {"int64": tf.int64, "bytes": tf.string, "float": tf.float32}
Raw = dict[str, Any]


def is_number(column: Column, features: FeatureConfig) -> bool:
    """Whether a column is a numeric feature."""
    return column.name in features.side and features.side[column.name].kind == "numeric"


def example_spec(features: FeatureConfig) -> dict[str, Any]:
    """How tf.Examples are parsed: required features must be present, others may be missing."""
    spec: dict[str, Any] = {}
    for column in features.columns:
        dtype = DTYPES[column.dtype]
        if column.presence == "required":
            spec[column.name] = tf.io.FixedLenFeature([], dtype)
        elif column.presence == "sequence":
            spec[column.name] = tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
        else:
            spec[column.name] = tf.io.VarLenFeature(dtype)  # takes an empty list as a missing value
    return spec


class Reader(tf.Module):
    """Turns a request into a model's `ModelInputs`.

    Args:
        features: The features of the model.
        transform_output: The Transform graph that made its training data.
    """

    def __init__(self, features: FeatureConfig, transform_output: tft.TFTransformOutput):
        super().__init__()
        self._features = features
        self.lookups = VocabularyLookups(features, transform_output)
        self.numbers = [column.name for column in features.columns if is_number(column, features)]
        if self.numbers or features.time_gap:
            self.transform = transform_output.transform_features_layer()

    def of_examples(self, examples: tf.Tensor) -> tuple[ModelInputs, dict[str, tf.Tensor]]:
        """Reads serialised tf.Examples (B,).

        Returns:
            The inputs, and for each sequence the places of its events: (E, 2), row and column in (B, L).
        """
        length = self._features.history_length
        raw = tf.io.parse_example(examples, example_spec(self._features))
        scalars = {name: to_dense(raw[name], missing_value(self._dtype(name))) for name in self._scalars()}
        ids = {name: self.lookups.ids(name, values) for name, values in scalars.items()}
        places: dict[str, tf.Tensor] = {}
        rows: dict[str, tf.Tensor] = {}
        gaps = None
        for number, (sequence, behaviours) in enumerate(self._features.sequences.items()):
            first, *others = (behaviour.history for behaviour in behaviours.values())
            recent = _recent(raw[first], length)
            places[sequence] = _places(recent)
            ids[first] = self.lookups.ids(first, recent.values)
            for name in others:  # aligned with the first; an event without a value here gets the missing value
                dense = _recent(raw[name], length).to_tensor(missing_value(self._dtype(name)), shape=[None, length])
                ids[name] = self.lookups.ids(name, tf.gather_nd(dense, places[sequence]))
            rows |= dict.fromkeys((first, *others), tf.unstack(places[sequence], 2, axis=1)[0])
            if number == 0 and self._features.time_gap:
                gaps = self._time_gaps(raw[HISTORICAL_TIMESTAMPS].to_sparse(), raw[TIMESTAMP], places[sequence])
        return ModelInputs(ids, rows, self._numeric({name: raw[name] for name in self.numbers}), gaps), places

    def of_tensors(self, raw: Raw) -> ModelInputs:
        """Reads raw tensors: features (B,), histories (B, T); candidate features may be (B, N)."""
        ids = {name: self.lookups.ids(name, raw[name]) for name in self._scalars()}
        rows: dict[str, tf.Tensor] = {}
        gaps = None
        for number, behaviours in enumerate(self._features.sequences.values()):
            names = [behaviour.history for behaviour in behaviours.values()]
            present = tf.not_equal(raw[names[0]], missing_value("bytes" if raw[names[0]].dtype == tf.string else "int64"))
            later = tf.cumsum(tf.cast(present, tf.int32), axis=1, exclusive=True, reverse=True)  # events after this one
            kept = tf.logical_and(present, later < self._features.history_length)  # (B, T)
            positions = tf.where(kept)  # (E, 2)
            for name in names:
                ids[name] = self.lookups.ids(name, tf.gather_nd(raw[name], positions))
            rows |= dict.fromkeys(names, tf.unstack(positions, 2, axis=1)[0])
            if number == 0 and self._features.time_gap:
                events = tf.ragged.boolean_mask(raw[HISTORICAL_TIMESTAMPS], kept).to_sparse()
                gaps = self._time_gaps(events, raw[TIMESTAMP], events.indices)
        return ModelInputs(
            ids, rows, self._numeric({name: _as_parsed(raw[name], DTYPES[self._dtype(name)]) for name in self.numbers}), gaps
        )

    def _scalars(self) -> list[str]:
        """Categorical features with one value for each impression."""
        by_feature = self._features.vocabulary_by_feature
        return [column.name for column in self._features.columns if column.presence != "sequence" and column.name in by_feature]

    def _dtype(self, name: str) -> str:
        return next(column.dtype for column in self._features.columns if column.name == name)

    def _numeric(self, raw: Raw) -> list[tf.Tensor]:
        """Numeric features, each (B, 1)."""
        if not raw:
            return []
        transformed = self.transform(raw)
        return [tf.expand_dims(transformed[name], 1) for name in raw]

    def _time_gaps(self, events: tf.SparseTensor, timestamp: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """The time gaps of the events that are kept: (E, 1)."""
        gaps = self.transform({HISTORICAL_TIMESTAMPS: events, TIMESTAMP: timestamp})[TIME_GAPS]  # (B, L)
        return tf.expand_dims(tf.gather_nd(gaps, places), 1)


def _recent(history: tf.RaggedTensor, length: int) -> tf.RaggedTensor:
    """The last `length` events of each row."""
    limits = history.row_splits[1:]
    starts = tf.maximum(history.row_splits[:-1], limits - length)
    positions = tf.ragged.range(starts, limits, row_splits_dtype=tf.int64)
    return positions.with_values(tf.gather(history.values, positions.values))


def _places(history: tf.RaggedTensor) -> tf.Tensor:
    """Row and column of each event: (E, 2)."""
    return tf.raw_ops.RaggedTensorToSparse(rt_nested_splits=[history.row_splits], rt_dense_values=history.values).sparse_indices


def _as_parsed(x: tf.Tensor, dtype: tf.DType) -> tf.SparseTensor:
    """Converts numbers (B,), NaN where one is missing, to the form that parsing gives."""
    present = tf.expand_dims(tf.logical_not(tf.math.is_nan(x)), 1)
    return tf.ragged.boolean_mask(tf.cast(tf.expand_dims(x, 1), dtype), present).to_sparse()
