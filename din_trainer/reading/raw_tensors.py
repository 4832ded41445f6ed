"""Raw values from tensors: the inputs of `predict` and `rank`, and how the most recent events of each sequence are kept of them."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from din_trainer.features import Column, FeatureConfig
from din_trainer.kinds import MISSING, Tags, Vector
from din_trainer.reading import tags
from din_trainer.reading.raw_values import DTYPES, RawValues
from din_trainer.reading.values_read import values_requested


def raw_tensor_spec(features: FeatureConfig, candidates: bool = False) -> dict[str, tf.TensorSpec]:
    """Inputs of `predict`, or of `rank` with `candidates`.

    Features are (B,), histories and fields of events (B, T), candidate features of `rank` (B, N). Tags and their weights have one more
    dimension, K, and vectors one of their size. Numbers of type int64 are float64, so that NaN can stand for a missing one.
    """
    sizes: dict[str, int | None] = {p.name: p.feature.size for p in features.placed if isinstance(p.feature, Vector)}
    sizes |= {column.name: None for column in features.columns if column.width is None}
    lengths = {p.feature.lengths for p in features.placed if isinstance(p.feature, Tags)}
    spec = {}
    for column in features.columns:
        if column.name not in lengths:
            several = column.presence == "sequence" or (candidates and column.role == "candidate")
            shape = [None, *[None] * several, *[sizes[name] for name in (column.name,) if name in sizes]]
            spec[column.name] = tf.TensorSpec(shape, _dtype(column), name=column.name)
    return spec


def _dtype(column: Column) -> tf.DType:
    return tf.float64 if column.is_number and column.dtype == "int64" else DTYPES[column.dtype]


def read_tensors(tensors: Mapping[str, tf.Tensor], features: FeatureConfig) -> RawValues:
    """Reads raw tensors in the shapes of `raw_tensor_spec`; candidate features may be (B, N). A missing event of a history is padding."""
    missing = {column.name: MISSING[column.dtype] for column in features.columns}
    firsts = {sequence: columns[0].name for sequence, columns in features.aligned_columns.items()}
    positions = {s: _recent_events(tensors[name], missing[name], features.length_of(s)) for s, name in firsts.items()}
    raw = RawValues({}, {}, {sequence: tf.unstack(places, 2, axis=1)[0] for sequence, places in positions.items()})
    with tf.control_dependencies(_shape_checks(tensors, features, firsts)):
        for name, _, sequence, feature in values_requested(features):

            def of(column: str, sequence: str = sequence) -> tf.Tensor:
                return _of_events(tensors[column], positions[sequence]) if sequence else tensors[column]

            if isinstance(feature, Tags):
                weights = of(feature.weights) if feature.weights else None
                raw.tags[name] = tags.of_padded(of(name), weights, MISSING[feature.dtype], feature.most)
            else:
                raw.values[name] = of(name)
    return raw


def _shape_checks(tensors: Mapping[str, tf.Tensor], features: FeatureConfig, firsts: Mapping[str, str]) -> list[tf.Operation]:
    """Operations that fail with a sentence if what belongs together has not one shape: fields of events, and weights of tags."""
    fields = [(p.name, firsts[p.sequence], "event") for p in features.placed if p.sequence and p.name in tensors]
    weighted = {p.feature.weights: p.name for p in features.placed if isinstance(p.feature, Tags) and p.feature.weights in tensors}
    together = [*fields, *((weights, name, "value") for weights, name in weighted.items())]
    return [_same_shape(tensors, *pair) for pair in together]


def _same_shape(tensors: Mapping[str, tf.Tensor], name: str, other: str, what: str) -> tf.Operation:
    """Fails if `name` has not the dimensions that `other` has. It may have more."""
    given, wanted = tf.shape(tensors[name])[: len(tensors[other].shape)], tf.shape(tensors[other])
    return tf.debugging.Assert(
        tf.reduce_all(tf.equal(given, wanted)), [f"{name} needs a value for each {what} of {other}, in the same shape"]
    )


def _of_events(x: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """The values of events: (B, T, …) -> (E, …). `gather_nd` refuses tags that are padded to none, (B, T, 0)."""
    if len(x.shape) == 2 or x.shape[2] is not None:
        return tf.gather_nd(x, positions)
    count, length, most = tf.unstack(tf.shape(x, tf.int64))
    return tf.gather(tf.reshape(x, [count * length, most]), positions[:, 0] * length + positions[:, 1])


def _recent_events(history: tf.Tensor, missing: Any, length: int) -> tf.Tensor:
    """Row and column of the last `length` events of each impression: (B, T) -> (E, 2)."""
    present = tf.not_equal(history, missing)
    later = tf.cumsum(tf.cast(present, tf.int32), axis=1, exclusive=True, reverse=True)  # events after this one
    return tf.where(tf.logical_and(present, later < length))
