"""Adds the attributes that tables have to the impressions, each with the row of its own time."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

from components.base.cores import usable_cores
from components.base.errors import DataError
from components.base.example_encoder import encode_examples
from components.base.example_reader import RAW, read_batches, read_schema
from components.base.tfrecord_writer import TFRecordWriter
from din_trainer.features import TIMESTAMP, Column, FeatureConfig
from din_trainer.kinds import MISSING, Tags
from din_trainer.lookups.attribute_table import AttributeTable
from din_trainer.lookups.joins import Join, joins
from din_trainer.lookups.table_file import read_tables

_ARROW = {"int64": pa.int64(), "float": pa.float32(), "bytes": pa.large_binary()}


class Joiner:
    """Adds attributes to batches of impressions.

    Args:
        features: The feature definition, with its tables.

    Raises:
        ValueError: A table cannot be used.
    """

    def __init__(self, features: FeatureConfig):
        self._joins = joins(features)
        self._tables: Mapping[str, AttributeTable] = read_tables(features)
        self._timed = {name for name, lookup in features.lookups.items() if lookup.valid_from}
        self._lengths = {p.name: p.feature.lengths for p in features.placed if isinstance(p.feature, Tags) and p.feature.lookup}
        self.needed = {join.ids for join in self._joins} | ({TIMESTAMP} if self._timed else set())

    def attributes(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The attributes of a batch of impressions, as lists; nothing where there is no value.

        Raises:
            DataError: An impression has no time, but a table has rows of different times.
        """
        columns: dict[str, pa.Array] = {}
        for join in self._joins:
            rows, events = self._rows(batch, join)
            values = self._tables[join.lookup].columns[join.source][rows]
            present = _present(values, join.column)
            if join.column.presence != "sequence":
                columns[join.column.name] = _lists(values, present, join.column)
                continue
            if join.column.width is not None:
                present[:] = True  # each event has its value, or vector, so that they stay side by side
            each = present.reshape(len(present), -1).sum(axis=1)
            columns[join.column.name] = _grouped(_lists(values, present, join.column), events)
            if lengths := self._lengths.get(join.column.name):
                columns[lengths] = pa.LargeListArray.from_arrays(events, pa.array(each))
        return pa.RecordBatch.from_pydict(columns)

    def _rows(self, batch: pa.RecordBatch, join: Join) -> tuple[np.ndarray, pa.Array]:
        """The rows of the table: of each impression (N,); or of each event (E,), with the place of each impression's first event."""
        ids = batch.column(join.ids)
        lengths = pc.fill_null(pc.list_value_length(ids), 0).to_numpy().astype(np.int64)
        impressions = np.repeat(np.arange(batch.num_rows), lengths)
        times = self._times(batch)[impressions] if join.lookup in self._timed else None
        table = self._tables[join.lookup]
        found = table.find(ids.flatten().cast(table.keys.type), times)
        if join.column.presence == "sequence":
            return found, pa.array(np.concatenate([[0], np.cumsum(lengths)]))
        rows = np.full(batch.num_rows, len(table.codes))
        rows[impressions] = found
        return rows, None

    def _times(self, batch: pa.RecordBatch) -> np.ndarray:
        times = batch.column(TIMESTAMP)
        if pc.any(pc.not_equal(pc.fill_null(pc.list_value_length(times), 0), 1)).as_py():
            raise DataError(f"an impression has no {TIMESTAMP}, but a table of features.lookups has rows of different times: add it.")
        return times.flatten().to_numpy()


def _present(values: np.ndarray, column: Column) -> np.ndarray:
    """Which values there are, in their shape. A vector is there with all its numbers, or not at all."""
    if not column.is_number:
        return values != MISSING[column.dtype]
    there = ~np.isnan(values)
    return np.broadcast_to(there.any(axis=1, keepdims=True), there.shape).copy() if column.width and values.ndim == 2 else there


def _lists(values: np.ndarray, present: np.ndarray, column: Column) -> pa.Array:
    """One list for each row: (N,) or (N, K) -> N lists."""
    counts = present.reshape(len(present), -1).sum(axis=1)
    flat = values[present]
    numbers = flat.astype(np.int64) if column.dtype == "int64" else flat
    return pa.LargeListArray.from_arrays(np.concatenate([[0], np.cumsum(counts)]), pa.array(numbers, _ARROW[column.dtype]))


def _grouped(lists: pa.LargeListArray, events: pa.Array) -> pa.LargeListArray:
    """The lists of an impression's events as one list."""
    return pa.LargeListArray.from_arrays(lists.offsets.take(events), lists.values)


def joined_examples(files: list[str], schema: schema_pb2.Schema, joiner: Joiner) -> Iterator[pa.LargeBinaryArray]:
    """Yields the tf.Examples of some files with their attributes, in order."""
    for batch in read_batches(files, schema, joiner.needed):
        # Concatenated protobuf messages are one merged message, so the original is kept without decoding it.
        added = encode_examples(joiner.attributes(batch))
        yield pc.binary_join_element_wise(batch.column(RAW).flatten(), added, pa.scalar(b"", pa.large_binary()))


def _copy_properties(source: Any, target: Any) -> None:
    for name in ("payload_format", "file_format"):
        if source.has_custom_property(name):
            target.set_string_custom_property(name, source.get_string_custom_property(name))


@component
def JoinLookups(
    examples: InputArtifact[standard_artifacts.Examples],
    schema: InputArtifact[standard_artifacts.Schema],
    joined: OutputArtifact[standard_artifacts.Examples],
    features: Parameter[str],
    tables: Parameter[str],
    source_fingerprint: Parameter[str],
) -> None:
    """Writes all splits with the attributes that tables have, so that statistics, validation and slices see them as any other feature.

    The model does not read them here: it has the tables itself.

    Args:
        examples: tf.Examples, in any splits.
        schema: Their schema, with the attributes.
        joined: The same splits and shards with the attributes.
        features: `FeatureConfig` as JSON.
        tables: Changes with the content of the tables.
        source_fingerprint: Changes with this code, so that TFX does not reuse old output.
    """
    del tables, source_fingerprint
    joiner, known = Joiner(FeatureConfig.model_validate_json(features)), read_schema(schema)
    joined.split_names = examples.split_names
    joined.span = examples.span
    _copy_properties(examples, joined)
    with ThreadPoolExecutor(usable_cores()) as pool:
        for split in artifact_utils.decode_split_names(examples.split_names):
            folder = Path(artifact_utils.get_split_uri([joined], split))
            folder.mkdir(parents=True)
            for file in sorted(Path(artifact_utils.get_split_uri([examples], split)).iterdir()):
                writer = TFRecordWriter(folder / file.name, pool)
                for part in joined_examples([str(file)], known, joiner):
                    writer.write_examples(part)
                writer.close()
