"""Rows as a file has them, with the number of each, and what is wrong with those that cannot be read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from components.base.errors import InputError

BATCH_SIZE = 50_000  # rows
NOT_TEXT = "which is not text in UTF-8 (of a click log, set files.encoding in the mapping)"


class RawRows(NamedTuple):
    """Some rows of a table, in its order.

    Attributes:
        columns: The wanted columns by their names. CSV gives text, "" where there is no value; JSON and Parquet give the types that they
            have.
        numbers: (N,) the number of each row from 1: its first line in the file, or its place in a Parquet file.
        broken: What is wrong with each row that cannot be read, by its number; these are not among the rows.
        unit: What the numbers count: "line" or "row".
    """

    columns: pa.RecordBatch
    numbers: np.ndarray
    broken: dict[int, str]
    unit: str = "line"

    def without(self, faults: dict[int, str]) -> "RawRows":
        """Returns the rows without some that turned out to be broken, which are given by their places."""
        if not faults:
            return self
        kept = np.ones(len(self.numbers), bool)
        kept[list(faults)] = False
        broken = self.broken | {int(self.numbers[place]): fault for place, fault in faults.items()}
        return RawRows(self.columns.filter(pa.array(kept)), self.numbers[kept], broken, self.unit)

    def batches(self) -> Iterator["RawRows"]:
        """Yields the rows, at most `BATCH_SIZE` at a time, each with the broken ones before its last row."""
        broken = sorted(self.broken.items())
        for begin in range(0, max(len(self.numbers), 1), BATCH_SIZE):
            numbers = self.numbers[begin : begin + BATCH_SIZE]
            is_last = begin + BATCH_SIZE >= len(self.numbers)
            here = [fault for fault in broken if is_last or fault[0] < numbers[-1]]
            del broken[: len(here)]
            yield RawRows(self.columns.slice(begin, BATCH_SIZE), numbers, dict(here), self.unit)


def check_names(path: Path, wanted: Sequence[str], names: Sequence[str]) -> None:
    """Checks that each wanted column is there once.

    Raises:
        InputError: One is not.
    """
    for name in wanted:
        if name not in names:
            raise missing_column(path, name, names)
        if names.count(name) > 1:
            raise InputError(f"{path} has several columns {name!r}: rename all but one.")


def missing_column(path: Path, name: str, names: Sequence[str]) -> InputError:
    """Returns the error about a column that is not there."""
    shown = ", ".join(found if found == found.strip() else repr(found) for found in names)
    return InputError(f"{path} has no column {name!r} (it has: {shown}): name one of these in the mapping.")


def text_rows(rows: RawRows) -> RawRows:
    """Returns columns of bytes as text, and rows with bytes that are not text as broken."""
    try:
        return rows._replace(columns=rows.columns.cast(pa.schema([(name, pa.string()) for name in rows.columns.schema.names])))
    except pa.ArrowInvalid:
        pass
    faults = dict[int, str]()
    for name, column in zip(rows.columns.schema.names, rows.columns.columns, strict=True):
        for place, value in enumerate(column.to_pylist()):
            try:
                value.decode()
            except UnicodeDecodeError:
                faults.setdefault(place, f"{name} is {value!r:.80}, {NOT_TEXT}")
    return text_rows(rows.without(faults))
