"""Turns raw features, serialised or as tensors, into the inputs of the model: in requests to the exported model, and in training.

It does the same as Transform, in fewer operations: it cuts histories to their most recent events before it looks up their ids, and does not
pad them. An event without a value (−1 or "") is padding, in tensors and in tf.Examples. Numbers and time gaps go through Transform's own
graph, which has their means and deviations. Sameness checks before every push that both ways give the same score.

B impressions a request, T raw events of a padded history, E events that are kept, L the most that are kept of one history.
"""

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.features import HISTORICAL_TIMESTAMPS, TIME_GAPS, TIMESTAMP, Column, FeatureConfig
from din_trainer.kinds import MISSING, DType
from din_trainer.models.model_inputs import ModelInputs
from din_trainer.reading.vocabulary_lookups import VocabularyLookups
from din_trainer.transform.preprocessing import to_dense

DTYPES: dict[DType, tf.DType] = {"int64": tf.int64, "bytes": tf.string, "float": tf.float32}
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
        """Reads serialised tf.Examples (B,). Returns what `of_parsed` does."""
        return self.of_parsed(tf.io.parse_example(examples, example_spec(self._features)))

    def of_parsed(self, raw: Raw) -> tuple[ModelInputs, dict[str, tf.Tensor]]:
        """Reads tf.Examples that were parsed by `example_spec`.

        Returns:
            The inputs, and for each sequence the places of its events: (E, 2), row and column in (B, L).
        """
        ids = {name: self.lookups.ids(name, to_dense(raw[name], MISSING[self._dtype(name)])) for name in self._scalars()}
        places: dict[str, tf.Tensor] = {}
        rows: dict[str, tf.Tensor] = {}
        dense: dict[str, tf.Tensor] = {}
        for number, (sequence, behaviours) in enumerate(self._features.sequences.items()):
            names = [behaviour.history for behaviour in behaviours.values()]
            first = raw[names[0]]
            kept = _recent_events(first, MISSING[self._dtype(names[0])], self._features.history_length)
            places[sequence] = _places(kept)
            rows |= dict.fromkeys(names, places[sequence][:, 0])
            for name in names:
                values = _aligned(raw[name], first, kept, places[sequence][:, 0], MISSING[self._dtype(name)])
                ids[name] = self.lookups.ids(name, values)
            if number == 0 and self._features.time_gap:
                times = _aligned(raw[HISTORICAL_TIMESTAMPS], first, kept, places[sequence][:, 0], MISSING["int64"])
                events = tf.SparseTensor(places[sequence], times, [first.nrows(), self._features.history_length])
                dense[TIME_GAPS] = self._time_gaps(events, raw[TIMESTAMP], places[sequence])
                rows[TIME_GAPS] = places[sequence][:, 0]
        return ModelInputs(ids, rows, {}, dense | self._numeric({name: raw[name] for name in self.numbers})), places

    def transformed(self, raw: Raw) -> dict[str, tf.Tensor]:
        """Reads parsed tf.Examples, and returns the features that Transform's graph gives, by name: (B,), histories (B, L)."""
        inputs, places = self.of_parsed(raw)
        outputs = {name: ids for name, ids in inputs.ids.items() if name not in inputs.rows}
        count = tf.shape(next(iter(outputs.values())), tf.int64)[0]
        for sequence, behaviours in self._features.sequences.items():
            for behaviour in behaviours.values():
                outputs[behaviour.history] = self.padded(inputs.ids[behaviour.history], places[sequence], count)
        if TIME_GAPS in inputs.dense:
            outputs[TIME_GAPS] = self.padded(inputs.dense[TIME_GAPS][:, 0], next(iter(places.values())), count)
        return outputs | {name: inputs.dense[name][:, 0] for name in self.numbers}

    def padded(self, x: tf.Tensor, places: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Puts events (E,) at their places in (B, L), and padding elsewhere."""
        return tf.scatter_nd(places, x, tf.stack([count, tf.constant(self._features.history_length, tf.int64)]))

    def of_tensors(self, raw: Raw) -> ModelInputs:
        """Reads raw tensors: features (B,), histories (B, T); candidate features may be (B, N)."""
        ids = {name: self.lookups.ids(name, raw[name]) for name in self._scalars()}
        rows: dict[str, tf.Tensor] = {}
        dense: dict[str, tf.Tensor] = {}
        for number, behaviours in enumerate(self._features.sequences.values()):
            names = [behaviour.history for behaviour in behaviours.values()]
            present = tf.not_equal(raw[names[0]], MISSING[self._dtype(names[0])])
            later = tf.cumsum(tf.cast(present, tf.int32), axis=1, exclusive=True, reverse=True)  # events after this one
            kept = tf.logical_and(present, later < self._features.history_length)  # (B, T)
            positions = tf.where(kept)  # (E, 2)
            for name in names:
                ids[name] = self.lookups.ids(name, tf.gather_nd(raw[name], positions))
            rows |= dict.fromkeys(names, tf.unstack(positions, 2, axis=1)[0])
            if number == 0 and self._features.time_gap:
                events = tf.ragged.boolean_mask(raw[HISTORICAL_TIMESTAMPS], kept).to_sparse()
                dense[TIME_GAPS] = self._time_gaps(events, raw[TIMESTAMP], events.indices)
                rows[TIME_GAPS] = events.indices[:, 0]
        numbers = {name: _as_parsed(raw[name], DTYPES[self._dtype(name)]) for name in self.numbers}
        return ModelInputs(ids, rows, {}, dense | self._numeric(numbers))

    def _scalars(self) -> list[str]:
        """Categorical features with one value for each impression."""
        by_feature = self._features.vocabulary_by_feature
        return [column.name for column in self._features.columns if column.presence != "sequence" and column.name in by_feature]

    def _dtype(self, name: str) -> DType:
        return next(column.dtype for column in self._features.columns if column.name == name)

    def _numeric(self, raw: Raw) -> dict[str, tf.Tensor]:
        """Numeric features, each (B, 1)."""
        if not raw:
            return {}
        transformed = self.transform(raw)
        return {name: tf.expand_dims(transformed[name], 1) for name in raw}

    def _time_gaps(self, events: tf.SparseTensor, timestamp: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """The time gaps of the events that are kept: (E, 1)."""
        gaps = self.transform({HISTORICAL_TIMESTAMPS: events, TIMESTAMP: timestamp})[TIME_GAPS]  # (B, L)
        return tf.expand_dims(tf.gather_nd(gaps, places), 1)


def _recent_events(history: tf.RaggedTensor, missing: Any, length: int) -> tf.RaggedTensor:
    """The positions, among the flat values of a history, of the last `length` events of each row. A missing value is no event."""
    events = tf.where(tf.not_equal(history.values, missing))[:, 0]
    splits = tf.searchsorted(events, history.row_splits, out_type=tf.int64)  # of the events alone
    starts, limits = tf.maximum(splits[:-1], splits[1:] - length), splits[1:]
    kept = tf.ragged.range(starts, limits, row_splits_dtype=tf.int64)
    return kept.with_values(tf.gather(events, kept.values))


def _aligned(history: tf.RaggedTensor, first: tf.RaggedTensor, kept: tf.RaggedTensor, rows: tf.Tensor, missing: Any) -> tf.Tensor:
    """The values (E,) of a history at the events that are kept of the first history of its sequence.

    Args:
        history: The history.
        first: The first history of its sequence.
        kept: The positions of the events in `first`.
        rows: The row of each event: (E,).
        missing: What an event gets that has no value here, which only unequal lengths cause.
    """
    if history is first:
        return tf.gather(first.values, kept.values)
    positions = kept.values + tf.gather(history.row_splits - first.row_splits, rows)
    beyond = positions >= tf.gather(history.row_splits[1:], rows)
    size = tf.size(history.values, tf.int64)
    return tf.gather(tf.concat([history.values, [missing]], 0), tf.where(beyond, size, positions))


def _places(history: tf.RaggedTensor) -> tf.Tensor:
    """Row and column of each event: (E, 2)."""
    return tf.raw_ops.RaggedTensorToSparse(rt_nested_splits=[history.row_splits], rt_dense_values=history.values).sparse_indices


def _as_parsed(x: tf.Tensor, dtype: tf.DType) -> tf.SparseTensor:
    """Converts numbers (B,), NaN where one is missing, to the form that parsing gives."""
    present = tf.expand_dims(tf.logical_not(tf.math.is_nan(x)), 1)
    return tf.ragged.boolean_mask(tf.cast(tf.expand_dims(x, 1), dtype), present).to_sparse()
