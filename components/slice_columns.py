"""Prepares the eval split for slices: adds lengths of lists and counts in training, both in buckets, and leaves out missing values."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf import text_format
from tensorflow.core.example.example_pb2 import Example
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import BeamComponentParameter, InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from components.base.example_reader import RAW, SCHEMA_FILE, read_batches, read_schema, split_files
from components.evaluation.count_buckets import bucket
from din_trainer.features import MISSING


class _Buckets:
    """`bucket` as bytes, with a cache."""

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}

    def __call__(self, count: int) -> bytes:
        if count not in self._known:
            self._known[count] = bucket(count).encode()
        return self._known[count]


def count_values(file: str, schema: schema_pb2.Schema, features: list[str]) -> Iterator[tuple[tuple[str, Any], int]]:
    """Yields ((feature, value), count) for each batch of a file: how often each value of some features occurs."""
    for batch in read_batches(file, schema):
        for feature in features:
            counted = pc.value_counts(batch.column(feature).flatten())
            for value, count in zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True):
                yield (feature, value), count


def without_missing(serialized: list[bytes], columns: Mapping[str, list[list[Any] | None]]) -> list[bytes]:
    """The tf.Examples without the features that are −1 or "", which mean no value: they would be slices and requests of their own.

    Args:
        serialized: The tf.Examples.
        columns: The values of features, one list for each example.
    """
    result = list(serialized)
    for name, rows in columns.items():
        for number, row in enumerate(rows):
            if row and row[0] in (MISSING["int64"], MISSING["bytes"]):
                example = Example.FromString(result[number])
                del example.features.feature[name]
                result[number] = example.SerializeToString()
    return result


def add_columns(
    file: str,
    counts: Mapping[tuple[str, Any], int],
    schema: schema_pb2.Schema,
    lengths: dict[str, str],
    counted: dict[str, str],
    optional: list[str],
) -> Iterator[bytes]:
    """Yields the tf.Examples of a file with the bucketed columns added.

    Args:
        file: TFRecords.
        counts: The sums of `count_values` over all files.
        schema: The schema of the file.
        lengths: The list feature of each length column, by column.
        counted: The feature of each count column, by column. A missing value has count 0.
        optional: The features whose missing values are left out.
    """
    encoder, buckets = RecordBatchToExamplesEncoder(), _Buckets()
    for batch in read_batches(file, schema):
        named = {name: batch.column(name).to_pylist() for name in optional if name in batch.schema.names}
        raw = without_missing(batch.column(RAW).flatten().to_pylist(), named)
        columns = {}
        for column, feature in lengths.items():
            columns[column] = [buckets(length or 0) for length in pc.list_value_length(batch.column(feature)).to_pylist()]
        for column, feature in counted.items():
            columns[column] = [buckets(counts.get((feature, row[0]), 0) if row else 0) for row in batch.column(feature).to_pylist()]
        arrays = [pa.array([[value] for value in values], pa.list_(pa.binary())) for values in columns.values()]
        added = encoder.encode(pa.RecordBatch.from_arrays(arrays, list(columns))) if columns else [b""] * len(raw)
        # Concatenated protobuf messages are one merged message, so the original is kept without decoding it.
        yield from (old + new for old, new in zip(raw, added, strict=True))


def extended_schema(schema: schema_pb2.Schema, columns: Iterable[str]) -> schema_pb2.Schema:
    """The schema with the columns added: each has one text value in every impression."""
    result = schema_pb2.Schema()
    result.CopyFrom(schema)
    for name in columns:
        feature = result.feature.add(name=name, type=schema_pb2.BYTES)
        feature.presence.min_fraction = 1.0
        feature.presence.min_count = 1
        feature.shape.SetInParent()
    return result


@component(use_beam=True)
def SliceColumns(
    examples: InputArtifact[standard_artifacts.Examples],
    schema: InputArtifact[standard_artifacts.Schema],
    sliced_examples: OutputArtifact[standard_artifacts.Examples],
    sliced_schema: OutputArtifact[standard_artifacts.Schema],
    lengths: Parameter[str],
    counted: Parameter[str],
    optional: Parameter[str],
    source_fingerprint: Parameter[str],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Writes the eval split with columns to slice it by. They depend on the data only, so all models have the same slices.

    Args:
        examples: tf.Examples with the splits `train` and `eval`.
        schema: Their schema.
        sliced_examples: The split `eval` with the columns.
        sliced_schema: The schema with the columns.
        lengths: JSON object: the list feature of each length column.
        counted: JSON object: the feature of each count column, counted in `train`. All distinct values of the features are kept in memory.
        optional: JSON list: the features to slice or group by that are missing where they are −1 or "".
        source_fingerprint: Changes with this code, so that TFX does not reuse old columns.
        beam_pipeline: Set by TFX.
    """
    del source_fingerprint
    by_length, by_count = json.loads(lengths), json.loads(counted)
    known = read_schema(schema)
    Path(sliced_schema.uri).mkdir(parents=True, exist_ok=True)
    (Path(sliced_schema.uri) / SCHEMA_FILE).write_text(text_format.MessageToString(extended_schema(known, [*by_length, *by_count])))
    sliced_examples.split_names = artifact_utils.encode_split_names(["eval"])
    for name in ("payload_format", "file_format"):
        if examples.has_custom_property(name):
            sliced_examples.set_string_custom_property(name, examples.get_string_custom_property(name))
    with beam_pipeline as p:
        counts = (
            p
            | "Train" >> beam.Create(split_files(examples, "train") if by_count else [])
            | "CountValues" >> beam.FlatMap(count_values, known, sorted(set(by_count.values())))
            | "AddUp" >> beam.CombinePerKey(sum)
        )
        _ = (
            p
            | "Eval" >> beam.Create(split_files(examples, "eval"))
            | "AddColumns" >> beam.FlatMap(add_columns, beam.pvalue.AsDict(counts), known, by_length, by_count, json.loads(optional))
            | "Write" >> beam.io.WriteToTFRecord(f"{artifact_utils.get_split_uri([sliced_examples], 'eval')}/part", file_name_suffix=".gz")
        )
