"""Prepares the eval split for slices: adds columns that are computed from the data, and leaves out missing values."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

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
from components.base.examples_format import set_format
from components.base.tfrecord_writer import TFRecordWriter
from components.evaluation.count_buckets import bucket
from components.evaluation.slice_column import SliceColumn
from components.evaluation.value_buckets import bucket_names
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

    def quantiles(self, count: int) -> tuple[float, ...]:
        """The boundaries that divide the numbers into so many parts of the same size; fewer if one number fills several."""
        known, counts = self._sorted
        finite = np.isfinite(known)
        numbers, below = known[finite].astype(np.float64), np.cumsum(counts[finite])
        places = np.searchsorted(below, below[-1:] * np.arange(1, count) / count, side="right")
        return tuple(np.unique(numbers[np.minimum(places, len(numbers) - 1)]).tolist()) if len(numbers) else ()

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


def _texts(values: np.ndarray, name: Callable[[Any], str]) -> pa.Array:
    """(N,) values -> (N,) names."""
    distinct, place = np.unique(values, return_inverse=True)
    return pa.array([name(value).encode() for value in distinct.tolist()], pa.binary()).take(pa.array(place))


def _one_a_row(texts: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(np.arange(len(texts) + 1, dtype=np.int32), texts)


def _lists(rows: np.ndarray, texts: pa.Array, count: int) -> pa.ListArray:
    """The texts of each row: (V,) ascending rows and (V,) texts -> (N,) lists."""
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))])
    return pa.ListArray.from_arrays(ends.astype(np.int32), texts)


def _present(column: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """The row of each value that is not missing, and the value: (V,), (V,)."""
    rows, values = pc.list_parent_indices(column).to_numpy(), column.flatten()
    if pa.types.is_floating(values.type):
        there = pc.is_finite(values)
    else:
        there = pc.not_equal(values, MISSING["int64" if pa.types.is_integer(values.type) else "bytes"])
    return rows[there.to_numpy(zero_copy_only=False)], values.filter(there)


def _tags(column: pa.Array) -> pa.ListArray:
    """Each value of a row once, as text."""
    rows, values = _present(column)
    texts = values.cast(pa.string()).cast(pa.binary()) if pa.types.is_primitive(values.type) else values.cast(pa.binary())
    codes = texts.dictionary_encode()
    pairs = np.unique(np.stack([rows, codes.indices.to_numpy()]), axis=1) if len(rows) else np.zeros((2, 0), np.int64)
    return _lists(pairs[0], codes.dictionary.take(pa.array(pairs[1])), len(column))


def _number_buckets(column: pa.Array, boundaries: Sequence[float]) -> pa.ListArray:
    rows, values = pc.list_parent_indices(column).to_numpy(), column.flatten().to_numpy()
    finite = np.isfinite(values) & bool(boundaries)  # an integer that is a number may be −1
    names = bucket_names(boundaries) if boundaries else []
    place = np.searchsorted(np.array(boundaries), values[finite], side="right")
    return _lists(rows[finite], _texts(place, names.__getitem__), len(column))


class SliceValues:
    """Computes columns to slice by.

    Args:
        columns: How each is computed, by name.
        train: The files in which values are counted.
        schema: Their schema.
    """

    def __init__(self, columns: Mapping[str, SliceColumn], train: Sequence[str], schema: schema_pb2.Schema):
        counted = {column.feature for column in columns.values() if column.kind == "count" or column.quantiles}
        self._counts = count_values(train, schema, counted)
        self._columns = {
            name: column._replace(boundaries=self._counts[column.feature].quantiles(column.quantiles)) if column.quantiles else column
            for name, column in columns.items()
        }

    def of(self, batch: pa.RecordBatch) -> dict[str, pa.ListArray]:
        """The columns of a batch, as lists of text. A missing value has count 0, and no tag or bucket."""
        return {name: self._column(batch.column(column.feature), column) for name, column in self._columns.items()}

    def _column(self, values: pa.Array, column: SliceColumn) -> pa.ListArray:
        if column.kind == "tags":
            return _tags(values)
        if column.kind == "buckets":
            return _number_buckets(values, column.boundaries)
        if column.kind == "length":
            return _one_a_row(_texts(pc.fill_null(pc.list_value_length(values), 0).to_numpy(), bucket))
        found = np.zeros(len(values), np.int64)
        found[pc.list_parent_indices(values).to_numpy()] = self._counts[column.feature].of(values.flatten().to_numpy(zero_copy_only=False))
        return _one_a_row(_texts(found, bucket))


def add_columns(batch: pa.RecordBatch, values: SliceValues, optional: Iterable[str]) -> pa.LargeBinaryArray:
    """The tf.Examples of a batch with the columns added.

    Args:
        batch: From `read_batches`.
        values: The columns.
        optional: The features whose missing values are left out.
    """
    raw = batch.column(RAW).flatten()
    kept = without_missing(raw, {name: batch.column(name) for name in optional if name in batch.schema.names})
    columns = values.of(batch)
    if not columns:
        return kept
    # Concatenated protobuf messages are one merged message, so the original is kept without decoding it.
    return pc.binary_join_element_wise(kept, encode_examples(pa.RecordBatch.from_pydict(columns)), pa.scalar(b"", pa.large_binary()))


def write_columns(
    train: Sequence[str],
    evaluated: Sequence[str],
    schema: schema_pb2.Schema,
    folder: Path,
    columns: Mapping[str, SliceColumn],
    optional: Sequence[str],
) -> None:
    """Writes the files of the eval split with the columns, under the same names.

    Args:
        train: The files in which values are counted.
        evaluated: The files to add columns to.
        schema: The schema of both.
        folder: The folder to make.
        columns: How each column is computed, by name.
        optional: As in `add_columns`.
    """
    values = SliceValues(columns, train, schema)
    needed = {*(column.feature for column in columns.values()), *optional}
    folder.mkdir(parents=True)
    with ThreadPoolExecutor(usable_cores()) as pool:
        for file in evaluated:
            writer = TFRecordWriter(folder / Path(file).name, pool)
            for batch in read_batches([file], schema, needed):
                writer.write_examples(add_columns(batch, values, optional))
            writer.close()


def extended_schema(schema: schema_pb2.Schema, columns: Mapping[str, SliceColumn]) -> schema_pb2.Schema:
    """The schema with the columns added: each has one text in every impression, but tags and buckets may have none or several."""
    result = schema_pb2.Schema()
    result.CopyFrom(schema)
    for name, column in columns.items():
        feature = result.feature.add(name=name, type=schema_pb2.BYTES)
        if column.kind in ("length", "count"):
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
    columns: Parameter[str],
    optional: Parameter[str],
    source_fingerprint: Parameter[str],
) -> None:
    """Writes the eval split with columns to slice it by. They depend on the data only, so all models have the same slices.

    Args:
        examples: tf.Examples with the splits `train` and `eval`.
        schema: Their schema.
        sliced_examples: The split `eval` with the columns.
        sliced_schema: The schema with the columns.
        columns: JSON object: the fields of each `SliceColumn`, by name. All distinct values of features that are counted in `train` are
            kept in memory.
        optional: JSON list: the features to slice or group by that are missing where they are −1 or "".
        source_fingerprint: Changes with this code, so that TFX does not reuse old columns.
    """
    del source_fingerprint
    computed = {name: SliceColumn(**fields) for name, fields in json.loads(columns).items()}
    known = read_schema(schema)
    Path(sliced_schema.uri).mkdir(parents=True, exist_ok=True)
    (Path(sliced_schema.uri) / SCHEMA_FILE).write_text(text_format.MessageToString(extended_schema(known, computed)))
    sliced_examples.split_names = artifact_utils.encode_split_names(["eval"])
    set_format(sliced_examples)
    folder = Path(artifact_utils.get_split_uri([sliced_examples], "eval"))
    write_columns(split_files(examples, "train"), split_files(examples, "eval"), known, folder, computed, json.loads(optional))
