"""Makes the TFMD schema of raw impressions from the feature definition."""

from collections.abc import Mapping

from tensorflow_metadata.proto.v0 import schema_pb2

from din_trainer.features import HISTORICAL_TIMESTAMPS, LABEL, REQUEST_ID, TIMESTAMP, Column, FeatureConfig
from din_trainer.kinds import MISSING

_TYPES = {"int64": schema_pb2.INT, "bytes": schema_pb2.BYTES, "float": schema_pb2.FLOAT}


def _add(schema: schema_pb2.Schema, name: str, dtype: str, presence: str) -> schema_pb2.Feature:
    feature = schema.feature.add(name=name, type=_TYPES[dtype])
    if presence == "required":
        feature.presence.min_fraction = 1.0
        feature.presence.min_count = 1
        feature.shape.SetInParent()  # exactly one value, parsed as a scalar
    elif presence == "optional":
        feature.value_count.max = 1
    else:
        feature.value_count.min = 0
    return feature


def _is_id(column: Column, features: FeatureConfig) -> bool:
    side = features.side.get(column.name)
    return column.dtype == "int64" and (side is None or side.kind == "categorical")


def make_schema(features: FeatureConfig, extra: Mapping[str, str] | None = None) -> schema_pb2.Schema:
    """Makes the schema of the features that the model reads, the label, the weight, and optional columns of the data dictionary.

    Args:
        features: The feature definition.
        extra: Types (`int64`, `bytes`, `float`) of the columns in the data. Of these only columns of the data dictionary are added.

    Returns:
        The schema: int64 ids are >= 0, or −1 where an optional one is missing; labels are 0 or 1; required features have exactly one value,
        optional ones at most one.
    """
    schema = schema_pb2.Schema()
    for column in features.columns:
        feature = _add(schema, column.name, column.dtype, column.presence)
        if _is_id(column, features):
            optional = column.presence == "optional"
            feature.int_domain.min = MISSING["int64"] if optional else 0
            if column.name not in (TIMESTAMP, HISTORICAL_TIMESTAMPS):
                feature.int_domain.is_categorical = True  # so that the statistics count its values
    known = {TIMESTAMP: "optional", REQUEST_ID: "optional", HISTORICAL_TIMESTAMPS: "sequence"}
    declared = {column.name for column in features.columns}
    for name, presence in known.items():
        if name in (extra or {}) and name not in declared:
            _add(schema, name, extra[name], presence)  # type: ignore[index]
    if features.weight:
        _add(schema, features.weight, "float", "required")
    label = _add(schema, LABEL, "int64", "required")
    label.int_domain.min, label.int_domain.max = 0, 1
    return schema
