"""Prepares the eval split for slices: adds lengths of lists and counts in training, both in buckets, and leaves out missing values."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf import text_format
from tensorflow.core.example.example_pb2 import Example
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

from components.base.cores import usable_cores
from components.base.example_encoder import encode_examples
from components.base.example_reader import RAW, SCHEMA_FILE, read_batches, read_schema, split_files
from components.base.tfrecord_writer import TFRecordWriter
from components.evaluation.count_buckets import bucket
from din_trainer.kinds import MISSING

_PARTS = 64  # counted batches that are kept before they are added up


class ValueCounts:
    """How often each value occurs. All distinct values are kept: 16 bytes for an integer, about 100 for bytes."""

    def __init__(self) -> None:
        self._parts: list[pa.Table] = []

    def add(self, values: pa.Array) -> None:
        """Counts more values, before the first call of `of`."""
        counted = values.value_counts()
        self._parts.append(pa.table({"value": counted.field("values"), "count": counted.field("counts")}))
        if len(self._parts) == _PARTS:
            self._parts = [self._sum()]

    def _sum(self) -> pa.Table:
        return pa.concat_tables(self._parts).group_by("value").aggregate([("count", "sum")]).rename_columns(["value", "count"])

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        total = self._sum().sort_by("value")
        return total["value"].to_numpy(), total["count"].to_numpy()

    def of(self, values: np.ndarray) -> np.ndarray:
        """The counts of (N,) values: (N,), 0 for a value that does not occur."""
        known, counts = self._sorted
        if not len(known):
            return np.zeros(len(values), np.int64)
        place = np.minimum(np.searchsorted(known, values), len(known) - 1)
        return np.where(known[place] == values, counts[place], 0)


def count_values(files: Sequence[str], schema: schema_pb2.Schema, features: Collection[str]) -> dict[str, ValueCounts]:
    """Counts the values of each feature in the files."""
    counts = {name: ValueCounts() for name in features}
    for batch in read_batches(files, schema, features) if counts else ():
        for name, counted in counts.items():
            counted.add(batch.column(name).flatten())
    return counts


def without_missing(examples: pa.LargeBinaryArray, columns: Mapping[str, pa.Array]) -> pa.LargeBinaryArray:
    """The tf.Examples without the features that are −1 or "", which mean no value: they would be slices and requests of their own.

    Args:
        examples: (N,) serialised tf.Examples.
        columns: (N,) lists of values by feature.
    """
    missing: dict[int, list[str]] = {}
    for name, column in columns.items():
        values = column.flatten()
        none = MISSING["int64"] if pa.types.is_integer(values.type) else MISSING["bytes"]
        for row in pc.list_parent_indices(column).filter(pc.equal(values, none)).to_pylist():
            missing.setdefault(row, []).append(name)
    if not missing:
        return examples
    result = examples.to_pylist()
    for row, names in missing.items():
        example = Example.FromString(result[row])
        for name in names:
            del example.features.feature[name]
        result[row] = example.SerializeToString()
    return pa.array(result, pa.large_binary())


def _buckets(numbers: np.ndarray) -> pa.ListArray:
    """(N,) counts -> (N,) lists of one bucket."""
    distinct, place = np.unique(numbers, return_inverse=True)
    names = pa.array([bucket(number).encode() for number in distinct.tolist()], pa.binary())
    return pa.ListArray.from_arrays(np.arange(len(numbers) + 1, dtype=np.int32), names.take(pa.array(place)))


def add_columns(
    batch: pa.RecordBatch, counts: Mapping[str, ValueCounts], lengths: dict[str, str], counted: dict[str, str], optional: Iterable[str]
) -> pa.LargeBinaryArray:
    """The tf.Examples of a batch with the bucketed columns added.

    Args:
        batch: From `read_batches`.
        counts: From `count_values`.
        lengths: The list feature of each length column, by column.
        counted: The feature of each count column, by column. A missing value has count 0.
        optional: The features whose missing values are left out.
    """
    raw = batch.column(RAW).flatten()
    kept = without_missing(raw, {name: batch.column(name) for name in optional if name in batch.schema.names})
    columns = {}
    for column, feature in lengths.items():
        columns[column] = _buckets(pc.fill_null(pc.list_value_length(batch.column(feature)), 0).to_numpy())
    for column, feature in counted.items():
        values, found = batch.column(feature), np.zeros(batch.num_rows, np.int64)
        found[pc.list_parent_indices(values).to_numpy()] = counts[feature].of(values.flatten().to_numpy(zero_copy_only=False))
        columns[column] = _buckets(found)
    if not columns:
        return kept
    # Concatenated protobuf messages are one merged message, so the original is kept without decoding it.
    return pc.binary_join_element_wise(kept, encode_examples(pa.RecordBatch.from_pydict(columns)), pa.scalar(b"", pa.large_binary()))


def write_columns(
    train: Sequence[str],
    evaluated: Sequence[str],
    schema: schema_pb2.Schema,
    folder: Path,
    lengths: dict[str, str],
    counted: dict[str, str],
    optional: Sequence[str],
) -> None:
    """Writes the files of the eval split with the bucketed columns, under the same names.

    Args:
        train: The files in which values are counted.
        evaluated: The files to add columns to.
        schema: The schema of both.
        folder: The folder to make.
        lengths: As in `add_columns`.
        counted: As in `add_columns`.
        optional: As in `add_columns`.
    """
    counts = count_values(train, schema, set(counted.values()))
    needed = {*lengths.values(), *counted.values(), *optional}
    folder.mkdir(parents=True)
    with ThreadPoolExecutor(usable_cores()) as pool:
        for file in evaluated:
            writer = TFRecordWriter(folder / Path(file).name, pool)
            for batch in read_batches([file], schema, needed):
                writer.write_examples(add_columns(batch, counts, lengths, counted, optional))
            writer.close()


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


@component
def SliceColumns(
    examples: InputArtifact[standard_artifacts.Examples],
    schema: InputArtifact[standard_artifacts.Schema],
    sliced_examples: OutputArtifact[standard_artifacts.Examples],
    sliced_schema: OutputArtifact[standard_artifacts.Schema],
    lengths: Parameter[str],
    counted: Parameter[str],
    optional: Parameter[str],
    source_fingerprint: Parameter[str],
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
    folder = Path(artifact_utils.get_split_uri([sliced_examples], "eval"))
    write_columns(split_files(examples, "train"), split_files(examples, "eval"), known, folder, by_length, by_count, json.loads(optional))
