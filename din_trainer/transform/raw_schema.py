"""Makes the TFMD schema of raw impressions from the feature definition."""

from collections.abc import Mapping

from tensorflow_metadata.proto.v0 import schema_pb2

from din_trainer.features import HISTORICAL_TIMESTAMPS, LABEL, REQUEST_ID, TIMESTAMP, Column, FeatureConfig
from din_trainer.kinds import MISSING, Tags, TimeGap

_TYPES = {"int64": schema_pb2.INT, "bytes": schema_pb2.BYTES, "float": schema_pb2.FLOAT}


def _add(schema: schema_pb2.Schema, column: Column) -> schema_pb2.Feature:
    """Adds a raw feature, with the number of its values."""
    feature = schema.feature.add(name=column.name, type=_TYPES[column.dtype])
    if column.presence == "required":
        feature.presence.min_fraction = 1.0
        feature.presence.min_count = 1
        feature.shape.SetInParent()  # exactly one value, parsed as a scalar
    elif column.presence == "sequence" or column.width is None:
        feature.value_count.min = 0  # of events, or of tags
    elif column.width > 1:
        feature.value_count.max = column.width  # no minimum, since an empty list is a missing vector; the start of a run checks it
    else:
        feature.value_count.max = 1
    return feature


def make_schema(features: FeatureConfig, extra: Mapping[str, str] | None = None) -> schema_pb2.Schema:
    """Makes the schema of all features, the label, the weight, and optional columns of the data dictionary.

    Args:
        features: The feature definition.
        extra: Types (`int64`, `bytes`, `float`) of the columns in the data. Of these only columns of the data dictionary are added.

    Returns:
        The schema: int64 ids are >= 0, or −1 where one may be missing; labels are 0 or 1; required features have exactly one value,
        optional ones at most one, vectors their size or none, tags any number. Features that come from tables are in it, too.
    """
    schema = schema_pb2.Schema()
    read, kept = [*features.columns, *features.joined_columns], features.kept_columns
    for column in read:
        _set_domain(_add(schema, column), column, features)
    known = {TIMESTAMP: "optional", REQUEST_ID: "optional", HISTORICAL_TIMESTAMPS: "sequence"}
    declared = {column.name for column in (*read, *kept)}
    for name, presence in known.items():
        if name in (extra or {}) and name not in declared:
            _add(schema, Column(name, extra[name], "context", presence))  # type: ignore[index, arg-type]
    for column in kept:
        _set_domain(_add(schema, column), column, features)
    label = Column(LABEL, "int64", "context", "required")
    _set_domain(_add(schema, label), label, features)
    return schema


def _set_domain(feature: schema_pb2.Feature, column: Column, features: FeatureConfig) -> None:
    """Says which values an int64 feature may have, and whether they are ids, so that the statistics count them."""
    name, domain = column.name, feature.int_domain
    if column.dtype != "int64":
        return
    if name in (LABEL, *features.labels[1:]):
        domain.min, domain.max = 0, 1
    elif name in features.position or name in _lengths(features):
        domain.min = 0
    elif not column.is_number:
        times = {TIMESTAMP, *(p.name for p in features.placed if isinstance(p.feature, TimeGap))}
        domain.min = MISSING["int64"] if _may_miss(column, features) else 0
        if name not in times:
            domain.is_categorical = True


def _may_miss(column: Column, features: FeatureConfig) -> bool:
    """Whether −1 stands for a missing value: not in ids that a request must have, in histories, and in times that are always required."""
    if column.name in {joined.name for joined in features.joined_columns}:
        return True
    needed = {behaviour.history for behaviour in features.behaviours.values()} | {HISTORICAL_TIMESTAMPS}
    return column.presence != "required" and column.name not in needed


def _lengths(features: FeatureConfig) -> set[str]:
    """The raw features with the numbers of the tags of events."""
    return {placed.feature.lengths for placed in features.placed if isinstance(placed.feature, Tags)}
