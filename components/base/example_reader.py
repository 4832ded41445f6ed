"""Reads impressions from TFX artifacts, in batches, together with their serialised tf.Examples."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import artifact_utils
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder
from tfx_bsl.tfxio import record_based_tfxio

from components.base.tfrecord import read_blocks

SCHEMA_FILE = "schema.pbtxt"
RAW = "__raw__"  # the column with the serialised tf.Examples


def read_schema(artifact: Any) -> schema_pb2.Schema:
    """The schema of a Schema artifact."""
    return text_format.Parse((Path(artifact.uri) / SCHEMA_FILE).read_text(), schema_pb2.Schema())


def split_files(examples: Any, split: str) -> list[str]:
    """The TFRecord files of a split of an Examples artifact."""
    return sorted(str(path) for path in Path(artifact_utils.get_split_uri([examples], split)).iterdir())


def read_batches(files: Sequence[str], schema: schema_pb2.Schema, names: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yields the impressions of TFRecord files, in order.

    Args:
        files: The files.
        schema: Their schema.
        names: The features to read; None reads those of the schema.

    Yields:
        A column of lists for each feature, and the column `RAW`.
    """
    wanted = schema_pb2.Schema(feature=[feature for feature in schema.feature if names is None or feature.name in names])
    decoder = ExamplesToRecordBatchDecoder(wanted.SerializeToString())
    for file in files:
        for records in read_blocks(Path(file)):
            yield record_based_tfxio.AppendRawRecordColumn(decoder.DecodeBatch(records), RAW, records)
