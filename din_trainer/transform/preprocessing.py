"""The Transform code: turns raw impressions into ids and numbers.

Ids after Transform: 0 is padding and nothing else, 1…V the vocabulary, most frequent value in train/ first, then out-of-vocabulary buckets.

The form of each raw feature, for a batch of B impressions. One that may not be missing is (B,); all others are sparse:

| raw feature                          | form                                                                     |
|--------------------------------------|--------------------------------------------------------------------------|
| candidate field, user_id, timestamp  | (B,)                                                                     |
| one value of a user, … (optional)    | sparse (B, 0 or 1): the value may be missing, or be −1, "" or NaN        |
| tags and their weights               | sparse (B, any): side by side                                            |
| vector                               | sparse (B, size), or no value                                            |
| history, field of events             | sparse (B, events), the oldest event first, all of one sequence aligned  |
| vector of events                     | sparse (B, events · size)                                                |
| tags of events, their weights        | sparse (B, any), flat, and sparse (B, events) with the `lengths`         |

What comes out of a feature depends on its own raw features alone (time gaps: and on `timestamp`; crosses: on their parts), row by row.
`din_trainer.reading` gives the same from the same functions, without this graph, for requests.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from din_trainer.config import FEATURES_KEY
from din_trainer.feature_parts import Position
from din_trainer.features import LABEL, SAMPLE_WEIGHT, TIMESTAMP, FeatureConfig, Placed, gap_name, is_read
from din_trainer.kinds import MISSING, Bucketized, Cross, Hashed, Numeric, Tags, TimeGap, Vector, Vocabulary
from din_trainer.transform import buckets, hashes, numbers, slots, tags
from din_trainer.transform.analysis import Analysis, Learnt
from din_trainer.transform.slots import to_dense


def table_size(vocabulary: Vocabulary, known_values: int) -> int:
    """Embedding rows: padding, the known values and the out-of-vocabulary buckets."""
    return 1 + known_values + vocabulary.oov_buckets


def _behaviours(inputs: Mapping[str, Any], name: str, features: FeatureConfig, learnt: Learnt) -> dict[str, tf.Tensor]:
    """The candidate fields (B,) and histories (B, L) that use a vocabulary."""
    vocabulary = features.behaviours[name]
    missing = MISSING[vocabulary.dtype]
    histories = {behaviour.history: behaviour.sequence for behaviour in features.behaviours.values()}
    used_by = [raw for raw, own in features.vocabulary_by_feature.items() if own == name and raw in inputs]
    found = {raw: slots.single_values(inputs[raw], missing, raw in histories) for raw in used_by}
    known = learnt.vocabulary(tf.concat([own.values for own in found.values()], axis=0), name, vocabulary, missing)
    return {raw: own.padded(known.ids(own.values), features.length_of(histories.get(raw, ""))) for raw, own in found.items()}


def _feature(inputs: Mapping[str, Any], placed: Placed, length: int, learnt: Learnt) -> dict[str, tf.Tensor]:
    """A feature, and the weights of tags."""
    name, feature, of_events = placed.name, placed.feature, bool(placed.sequence)
    if isinstance(feature, Tags):
        return _tags(inputs, placed, length, learnt)
    if isinstance(feature, Vector):
        own = slots.vectors(inputs[name], feature.size, of_events, name)
        return {name: own.padded(numbers.vector(own.values), length)}
    if isinstance(feature, Numeric | Bucketized):
        own = slots.numbers(inputs[name], of_events)
        return {name: own.padded(_number(own.values, name, feature, learnt), length)}
    if isinstance(feature, TimeGap):
        return {gap_name(name): _time_gaps(inputs[name], inputs[TIMESTAMP], placed, length, learnt)}
    own = slots.single_values(inputs[name], MISSING[feature.dtype], of_events)
    if isinstance(feature, Hashed):
        return {name: own.padded(hashes.hash_ids(own.values, feature.buckets), length)}
    known = learnt.vocabulary(own.values, name, feature, MISSING[feature.dtype])
    return {name: own.padded(known.ids(own.values), length)}


def _number(x: tf.Tensor, name: str, feature: Numeric | Bucketized, learnt: Learnt) -> tf.Tensor:
    """What the model reads of numbers: (S,) or (S, 2) float32, or the ids of their buckets, (S,) int64."""
    if isinstance(feature, Numeric):
        ready = numbers.prepared(x, feature)
        return numbers.scaled(ready, feature, learnt.statistics(ready, name, feature))
    boundaries = feature.boundaries or learnt.statistics(numbers.finite(x), name, feature)["quantiles"]
    return buckets.bucket_ids(x, boundaries)


def _time_gaps(times: Any, timestamp: tf.Tensor, placed: Placed, length: int, learnt: Learnt) -> tf.Tensor:
    """log(1 + hours) from each event to the impression, scaled to mean 0 and deviation 1: (B, L)."""
    name, own = gap_name(placed.name), slots.single_values(times, MISSING["int64"], True)
    hours = numbers.log_hours(own.values, tf.gather(timestamp, slots.to_ragged(times).value_rowids()))
    return own.padded(numbers.zscore(hours, learnt.statistics(hours, name, placed.feature)), length)


def _tags(inputs: Mapping[str, Any], placed: Placed, length: int, learnt: Learnt) -> dict[str, tf.Tensor]:
    """The ids of tags, (B, most) or (B, L, most), and their weights."""
    name, feature = placed.name, placed.feature
    lengths = inputs[feature.lengths] if placed.sequence else None
    own = slots.lists(inputs[name], lengths, name)
    weights = slots.lists(inputs[feature.weights], lengths, feature.weights).values if feature.weights else None
    known = learnt.vocabulary(own.values.values, name, feature, MISSING[feature.dtype])
    read, read_weights = tags.read_tags(own.values, weights, MISSING[feature.dtype], feature.most)
    found = {name: read.with_values(known.ids(read.values))}
    if read_weights is not None:
        found[feature.weights] = read_weights
    return {each: own.padded(tags.padded(x, feature.most), length) for each, x in found.items()}


def _cross(inputs: Mapping[str, Any], buckets_by_part: Mapping[str, tf.Tensor], placed: Placed, learnt: Learnt) -> tf.Tensor:
    """The ids (B,) of two or three features together."""
    name, feature = placed.name, placed.feature
    raw = {part: inputs[part] for part in feature.of if part not in buckets_by_part}
    parts = {part: to_dense(x, MISSING["bytes" if x.dtype == tf.string else "int64"]) for part, x in raw.items()}
    text = hashes.crossed([buckets_by_part[part] if part in buckets_by_part else parts[part] for part in feature.of])
    if feature.buckets:
        return hashes.cross_ids(text, feature.buckets)
    return learnt.vocabulary(text, name, feature, MISSING["bytes"]).ids(text)


def position_ids(x: tf.Tensor | tf.SparseTensor, position: Position) -> tf.Tensor:
    """The ids of positions, from 1: (B,). A missing one is that of serving."""
    dense = to_dense(x, MISSING["int64"])
    known = tf.where(dense < 0, tf.constant(position.serving, tf.int64), dense)
    return 1 + tf.minimum(known, position.positions - 1)


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Transforms a batch of raw impressions. TFX Transform calls it.

    Args:
        inputs: Raw features, in the forms of the table above.
        custom_config: `FeatureConfig` as JSON under `FEATURES_KEY`; under `COUNTS_KEY`, whether to write the counts of the vocabularies;
            for a warm start, under `START_KEY`, `values` (`StartValues` as a dict) and `scales` (from `read_scales`).

    Returns:
        Transformed features by name, int64 or float32: one id or number (B,), a number with its indicator (B, 2), a vector (B, size), tags
        and their weights (B, most), and the same of events behind (B, L). Labels and positions are int64 (B,), sample weights float32 (B,).
    """
    features = FeatureConfig.model_validate_json(custom_config[FEATURES_KEY])
    outputs: dict[str, tf.Tensor] = {name: inputs[name] for name in (LABEL, *features.labels[1:])}
    if features.weight:
        outputs[SAMPLE_WEIGHT] = inputs[features.weight]
    return outputs | transformed(inputs, features, Analysis.of(custom_config))


def transformed(inputs: Mapping[str, Any], features: FeatureConfig, learnt: Learnt) -> dict[str, tf.Tensor]:
    """The features that a model reads, by name after Transform. Fields of events and positions that `inputs` lacks are left out.

    Args:
        inputs: Raw features, in the forms of the table above; sparse ones may be ragged.
        features: The feature definition.
        learnt: Gives the vocabularies and statistics.
    """
    outputs: dict[str, tf.Tensor] = {}
    for name, behaviour in features.behaviours.items():
        if not behaviour.vocabulary:
            outputs |= _behaviours(inputs, name, features, learnt)
    read = [placed for placed in features.placed if is_read(placed.feature)]
    for placed in read:
        if not isinstance(placed.feature, Cross) and placed.name in inputs:
            outputs |= _feature(inputs, placed, features.length_of(placed.sequence), learnt)
    bucket_ids = {placed.name: outputs[placed.name] for placed in read if isinstance(placed.feature, Bucketized) and not placed.sequence}
    outputs |= {placed.name: _cross(inputs, bucket_ids, placed, learnt) for placed in read if isinstance(placed.feature, Cross)}
    return outputs | {name: position_ids(inputs[name], position) for name, position in features.position.items() if name in inputs}
