"""Adds what tables of `features.lookups` have to batches of impressions, each with the row of its own time."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.errors import DataError
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

    Attributes:
        needed: The features that are read.
        asked: By table and feature with the ids: how many ids were looked up, once for each attribute.
        found: How many of them have a row that holds.

    Raises:
        ValueError: A table cannot be used.
    """

    def __init__(self, features: FeatureConfig):
        self.asked, self.found = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
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
        self.asked[join.lookup, join.ids] += len(found)
        self.found[join.lookup, join.ids] += int((found < len(table.codes)).sum())
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
