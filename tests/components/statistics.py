"""TFDV's statistics of columns of Python values."""

from pathlib import Path

import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics.stats_impl import generate_statistics_in_memory
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from tests.sample_data import make_column

_KINDS = {"int": schema_pb2.INT, "id": schema_pb2.INT, "bytes": schema_pb2.BYTES, "float": schema_pb2.FLOAT}


def make_schema(**kinds: str) -> schema_pb2.Schema:
    """A schema of features that are `int`, `id` (a categorical int), `bytes` or `float`."""
    schema = schema_pb2.Schema()
    for name, kind in kinds.items():
        schema.feature.add(name=name, type=_KINDS[kind]).int_domain.is_categorical = kind == "id"
        if kind != "id":
            schema.feature[-1].ClearField("int_domain")
    return schema


def make_statistics(schema: schema_pb2.Schema, **columns: list) -> statistics_pb2.DatasetFeatureStatisticsList:
    batch = pa.RecordBatch.from_pydict({name: make_column(values) for name, values in columns.items()})
    return generate_statistics_in_memory(batch, tfdv.StatsOptions(schema=schema))


def write_statistics(folder: Path, split: str, statistics: statistics_pb2.DatasetFeatureStatisticsList) -> Path:
    """Writes the statistics of a split as StatisticsGen does. Returns `folder`."""
    place = folder / f"Split-{split}"
    place.mkdir(parents=True)
    (place / "FeatureStats.pb").write_bytes(statistics.SerializeToString())
    return folder
