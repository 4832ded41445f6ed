"""Reads impressions from TFX artifacts, in batches, together with their serialised tf.Examples."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import artifact_utils
from tfx_bsl.tfxio import dataset_options, tf_example_record

SCHEMA_FILE = "schema.pbtxt"
RAW = "__raw__"  # the column with the serialised tf.Examples
_BATCH = 4096


def read_schema(artifact: Any) -> schema_pb2.Schema:
    """The schema of a Schema artifact."""
    return text_format.Parse((Path(artifact.uri) / SCHEMA_FILE).read_text(), schema_pb2.Schema())


def split_files(examples: Any, split: str) -> list[str]:
    """The TFRecord files of a split of an Examples artifact."""
    return sorted(str(path) for path in Path(artifact_utils.get_split_uri([examples], split)).iterdir())


def read_batches(files: str | list[str], schema: schema_pb2.Schema) -> Iterator[pa.RecordBatch]:
    """Yields the impressions of TFRecord files, with a column for each feature of the schema and the column `RAW`."""
    tfxio = tf_example_record.TFExampleRecord(files, schema=schema, raw_record_column_name=RAW)
    return tfxio.RecordBatches(dataset_options.RecordBatchesOptions(batch_size=_BATCH, num_epochs=1, shuffle=False))
