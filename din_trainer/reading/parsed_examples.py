"""Raw values from tf.Examples: parses them, and keeps the most recent events of each sequence."""

from typing import Any, NamedTuple

import tensorflow as tf

from din_trainer.features import TIMESTAMP, FeatureConfig, Placed
from din_trainer.kinds import MISSING, Bucketized, Numeric, Tags, Vector
from din_trainer.reading import tags
from din_trainer.reading.histories import RecentEvents
from din_trainer.reading.raw_values import DTYPES, RawTags, RawValues
from din_trainer.reading.values_read import values_requested
from din_trainer.transform import slots
from din_trainer.transform.slots import Slots

Parsed = dict[str, Any]


def example_spec(features: FeatureConfig) -> dict[str, Any]:
    """How tf.Examples are parsed: required features must be present, others may be missing.

    The time of the impression is parsed as well if a table has rows of different times.
    """
    spec: dict[str, Any] = {}
    if any(lookup.valid_from for lookup in features.lookups.values()):
        spec[TIMESTAMP] = tf.io.VarLenFeature(tf.int64)
    for column in features.columns:
        dtype = DTYPES[column.dtype]
        if column.presence == "required":
            spec[column.name] = tf.io.FixedLenFeature([], dtype)
        elif column.presence == "sequence" or column.width != 1:
            spec[column.name] = tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
        else:
            spec[column.name] = tf.io.VarLenFeature(dtype)  # takes an empty list as a missing value
    return spec


class ParsedExamples(NamedTuple):
    """What tf.Examples hold.

    Attributes:
        raw: The raw values.
        places: By sequence: row and column of each event in (B, L), (E, 2) int64.
    """

    raw: RawValues
    places: dict[str, Any]


def read_examples(parsed: Parsed, features: FeatureConfig) -> ParsedExamples:
    """Reads tf.Examples that were parsed by `example_spec`.

    Raises:
        InvalidArgumentError: When it runs: in an impression, the floats of a vector, the weights of tags or the `lengths` of the events'
            tags are not as many as they must be.
    """
    missing = {column.name: MISSING[column.dtype] for column in features.columns}
    firsts = {sequence: columns[0].name for sequence, columns in features.aligned_columns.items()}
    events = {s: RecentEvents(parsed[name], missing[name], features.length_of(s)) for s, name in firsts.items()}
    raw = RawValues({}, {}, {sequence: kept.rows for sequence, kept in events.items()})
    for placed in values_requested(features):
        kept = events[placed.sequence] if placed.sequence else None
        if isinstance(placed.feature, Tags):
            raw.tags[placed.name] = _tags(parsed, placed, kept)
        else:
            found, none = _slots(parsed[placed.name], placed)
            raw.values[placed.name] = kept.values_of(found, none) if kept else found.values
    return ParsedExamples(raw, {sequence: kept.places for sequence, kept in events.items()})


def _slots(x: Any, placed: Placed) -> tuple[Slots, Any]:
    """The values of a feature, one for each impression or event in the data, and what stands for a missing one."""
    name, of_events, feature = placed.name, bool(placed.sequence), placed.feature
    if isinstance(feature, Vector):
        return slots.vectors(x, feature.size, of_events, name), MISSING["float"]
    if isinstance(feature, Numeric | Bucketized):
        return slots.numbers(x, of_events), MISSING["float"]
    return slots.single_values(x, MISSING[feature.dtype], of_events), MISSING[feature.dtype]


def _tags(parsed: Parsed, placed: Placed, kept: RecentEvents | None) -> RawTags:
    name, feature = placed.name, placed.feature
    lengths = parsed[feature.lengths] if kept else None
    lists = [slots.lists(parsed[raw], lengths, raw) for raw in (name, feature.weights) if raw]
    values, *weights = (kept.values_of(own, None) if kept else own.values for own in lists)
    return tags.of_ragged(values, weights[0] if weights else None, MISSING[feature.dtype], feature.most)
