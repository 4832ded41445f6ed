"""Checks the impressions of one file, batch by batch: the types and values of each feature, and what must hold between features.

A value that means "no value" (−1 for ids, "" for bytes, NaN for floats) is as good as the feature's absence: an optional feature may be
missing, whatever must have a value may not, and a history holds real events only.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.errors import DataError
from components.base.utf8 import is_utf8
from din_trainer.features import HISTORICAL_TIMESTAMPS, LABEL, TIMESTAMP, Column, FeatureConfig
from din_trainer.kinds import MISSING

_TIMES = (TIMESTAMP, HISTORICAL_TIMESTAMPS)
_NOT_IN_A_LINE = "[\r\n\x00]"  # Transform leaves out text with line ends, and NumPy cuts text at its last NULs


def value_type(column_type: pa.DataType) -> str | None:
    """Returns `int64`, `float` or `bytes`; None for a column without any value."""
    value = column_type.value_type if pa.types.is_list(column_type) or pa.types.is_large_list(column_type) else None
    if value is None:
        return None
    return "int64" if pa.types.is_integer(value) else "float" if pa.types.is_floating(value) else "bytes"


def list_columns(batch: pa.RecordBatch) -> Iterator[str]:
    """Yields the names of the columns that have values."""
    return (field.name for field in batch.schema if value_type(field.type) is not None)


class BatchChecker:
    """Checks the batches of one file, in order. Its messages name the file and the impression.

    Attributes:
        with_values: The declared features of which some impression has a value.
    """

    def __init__(self, file: Path, features: FeatureConfig):
        self.with_values: set[str] = set()
        self._file = file
        self._features = features
        self._columns = [
            *features.columns,
            Column(LABEL, "int64", "context", "required"),
            Column(TIMESTAMP, "int64", "context", "optional"),
            Column(HISTORICAL_TIMESTAMPS, "int64", "behaviour", "sequence"),
            *([Column(features.weight, "float", "context", "required")] if features.weight else []),
        ]
        self._first = 0  # the index, in the file, of the first impression of the batch
        self._lengths: dict[str, np.ndarray] = {}

    def check(self, batch: pa.RecordBatch) -> None:
        """Checks the next batch.

        Raises:
            DataError: The first problem that is found.
        """
        self._lengths = {name: pc.fill_null(pc.list_value_length(batch.column(name)), 0).to_numpy() for name in list_columns(batch)}
        for column in self._columns:
            self._check_column(batch, column)
        self._check_labels(batch)
        self._check_weights(batch)
        self._check_alignment(batch)
        self._check_time(batch)
        self._first += batch.num_rows

    def _refuse(self, bad: np.ndarray, message: str) -> None:
        """Raises a DataError that names the first row at which `bad` (rows,) is true."""
        if bad.any():
            raise DataError(f"{self._file}, impression {self._first + int(np.argmax(bad)) + 1}: {message}")

    def _refuse_value(self, name: str, values: pa.Array, bad: np.ndarray, message: str) -> None:
        """Raises a DataError that names the row of the first value of a column at which `bad` (values,) is true, and shows the value."""
        if bad.any():
            first = int(np.argmax(bad))
            row = np.repeat(np.arange(len(self._lengths[name])), self._lengths[name])[first]
            shown = repr(values[first].as_py())
            shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
            raise DataError(f"{self._file}, impression {self._first + row + 1}: feature {name!r} {message.format(value=shown)}")

    def _check_column(self, batch: pa.RecordBatch, column: Column) -> None:
        if column.name not in self._lengths:
            if column.presence == "required":
                raise DataError(
                    f"{self._file} has no feature {column.name!r} ({column.dtype}): add it to the data, or change [features] in the config."
                )
            return
        found = value_type(batch.schema.field(column.name).type)
        if found != column.dtype:
            raise DataError(f"{self._file}: feature {column.name!r} is {found}, but {column.dtype} is declared: change one of the two.")
        if column.presence == "required":
            self._refuse(self._lengths[column.name] != 1, f"feature {column.name!r} must have exactly one value.")
        if column.presence == "optional":
            self._refuse(self._lengths[column.name] > 1, f"feature {column.name!r} must have at most one value.")
        if column.name not in (LABEL, self._features.weight):
            self._check_values(batch, column)

    def _check_values(self, batch: pa.RecordBatch, column: Column) -> None:
        values = batch.column(column.name).flatten()
        side = self._features.side.get(column.name)
        if column.dtype == "float":
            numbers = values.to_numpy(zero_copy_only=False)
            self._refuse_value(column.name, values, np.isinf(numbers), "is {value}: leave it out, or write NaN, where there is no number.")
            missing = np.isnan(numbers)
        elif column.name in _TIMES:
            self._refuse_value(column.name, values, values.to_numpy() < 0, "holds the time {value}: times are unix seconds, 0 or more.")
            missing = np.zeros(len(values), bool)
        elif side is not None and side.kind == "numeric":
            missing = np.zeros(len(values), bool)  # a number may be −1
        elif column.dtype == "int64":
            ids = values.to_numpy()
            self._refuse_value(
                column.name, values, (ids < 0) & (ids != MISSING["int64"]), "holds a negative id ({value}): ids must be 0 or more."
            )
            missing = ids == MISSING["int64"]
        else:
            self._check_text(column.name, values)
            missing = pc.equal(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)
        if column.presence == "required":
            message = (
                "is {value}, which means that it is missing, but every impression needs its value: write it, or leave the impression out."
            )
            self._refuse_value(column.name, values, missing, message)
        if column.presence == "sequence":
            message = "holds {value}, which means no event: leave such events out, here and in the lists that are aligned with it."
            self._refuse_value(column.name, values, missing, message)
        if not missing.all():
            self.with_values.add(column.name)

    def _check_text(self, name: str, values: pa.Array) -> None:
        """Checks that bytes can be ids: each is a line of the vocabulary's file."""
        bad = pc.match_substring_regex(values, _NOT_IN_A_LINE).to_numpy(zero_copy_only=False)
        self._refuse_value(
            name, values, bad, "holds {value}: ids with a line end or NUL fit in no vocabulary, so replace these characters."
        )
        try:
            values.cast(pa.large_string())
        except pa.ArrowInvalid:
            bad = np.array([not is_utf8(value) for value in values.to_pylist()])
            self._refuse_value(name, values, bad, "holds {value}, which is not UTF-8: write ids as text in UTF-8, or as whole numbers.")

    def _flat(self, batch: pa.RecordBatch, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns the row of each value of a column, and the values."""
        return np.repeat(np.arange(batch.num_rows), self._lengths[name]), batch.column(name).flatten().to_numpy(zero_copy_only=False)

    def _check_labels(self, batch: pa.RecordBatch) -> None:
        labels = batch.column(LABEL).flatten().to_numpy()
        self._refuse((labels != 0) & (labels != 1), "the label must be 0 or 1.")

    def _check_weights(self, batch: pa.RecordBatch) -> None:
        if self._features.weight:
            weights = batch.column(self._features.weight).flatten().to_numpy()
            self._refuse(~(np.isfinite(weights) & (weights >= 0)), f"the weight {self._features.weight!r} must be a number, 0 or more.")

    def _check_alignment(self, batch: pa.RecordBatch) -> None:
        zeros = np.zeros(batch.num_rows, int)
        sequences = [[behaviour.history for behaviour in sequence.values()] for sequence in self._features.sequences.values()]
        if self._features.time_gap or HISTORICAL_TIMESTAMPS in self._lengths:
            sequences[0].append(HISTORICAL_TIMESTAMPS)
        for first, *others in sequences:
            for name in others:
                bad = self._lengths.get(name, zeros) != self._lengths.get(first, zeros)
                self._refuse(bad, f"{name!r} and {first!r} differ in length: the histories of a sequence must be aligned event by event.")

    def _check_time(self, batch: pa.RecordBatch) -> None:
        if not {TIMESTAMP, HISTORICAL_TIMESTAMPS} <= set(self._lengths):
            return
        now = np.full(batch.num_rows, np.iinfo(np.int64).max)
        rows, times = self._flat(batch, TIMESTAMP)
        now[rows] = times
        rows, times = self._flat(batch, HISTORICAL_TIMESTAMPS)
        bad = np.zeros(batch.num_rows, bool)
        bad[rows[times > now[rows]]] = True
        self._refuse(
            bad, "its history holds an event after the impression, which leaks the future: make histories from earlier clicks only."
        )
