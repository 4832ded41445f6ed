"""Turns text values into typed columns, and names the line of a value that is not legal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.errors import InputError
from pipeline.datasets.sources.broken_rows import sound_rows
from pipeline.datasets.sources.interactions import BATCH_SIZE, Tally, breaks_line
from pipeline.datasets.sources.text_lines import Row, width_fault
from pipeline.datasets.tables.raw_rows import RawRows
from pipeline.datasets.tables.typed_values import FRACTIONS, Typed, numbers, refused, shown, texts, whole_numbers

INT64_MAX = 2**63 - 1
_YEAR_2100 = 4_102_444_800  # unix seconds; a greater number is in milliseconds


@dataclass(frozen=True)
class Column:
    """A column of text values: its type and its legal values.

    Attributes:
        name: The name in the source, for messages.
        aliases: Names that it has in files: in lower case, without underscores and spaces.
        dtype: "int64", "float" or "bytes".
        low: Least legal number.
        high: Greatest legal number.
        expected: The legal values, in words.
        choices: The legal texts of bytes; empty: any text.
    """

    name: str
    aliases: tuple[str, ...] = ()
    dtype: Literal["int64", "float", "bytes"] = "int64"
    low: float = 0
    high: float = INT64_MAX
    expected: str = "a whole number from 0 up"
    choices: tuple[str, ...] = ()

    def parse(self, text: str) -> int | float | bytes:
        """Returns the value of a text.

        Raises:
            ValueError: The text is not legal.
        """
        if self.dtype == "bytes":
            if self.choices and text not in self.choices:
                raise ValueError("not one of the choices")
            encoded = text.encode()  # text that was not UTF-8 raises UnicodeEncodeError, a ValueError
            if breaks_line(encoded):
                raise ValueError("a line end or NUL")
            return encoded
        if "_" in text:
            raise ValueError("an underscore, which Python allows in numbers")
        value = int(text) if self.dtype == "int64" else float(text)
        if not self.low <= value <= self.high:
            raise ValueError("out of range")
        return value

    def typed(self, raw: pa.Array) -> Typed:
        """Returns the typed values of raw ones; a missing value is not legal."""
        if self.dtype == "bytes":
            typed = texts(raw)
            choices = pa.array([choice.encode() for choice in self.choices], pa.binary())
            wrong = pc.invert(pc.is_in(typed.values, choices)) if self.choices else typed.values.is_null()
        else:
            typed = whole_numbers(raw) if self.dtype == "int64" else numbers(raw)
            wrong = pc.or_(pc.less(typed.values, self.low), pc.greater(typed.values, self.high))
        typed = refused(typed, wrong)
        return typed._replace(broken=typed.broken | typed.values.is_null().to_numpy(zero_copy_only=False))

    def fault_at(self, raw: pa.Array, place: int) -> str:
        """Says what is wrong with the raw value at a place."""
        return f"{self.name} is {shown(raw, place)}, but must be {self.expected}"

    def fault(self, text: str) -> str | None:
        """Says what is wrong with a value; None where it is legal."""
        try:
            self.parse(text)
        except ValueError:
            return f"{self.name} is {text!r}, but must be {self.expected}"
        return None


def time_column(name: str, *aliases: str) -> Column:
    """Returns a column of unix seconds."""
    return Column(name, aliases, high=_YEAR_2100, expected="a time in whole unix seconds")


def find_column(path: Path, header: Row, column: Column) -> int:
    """Returns the place of a column in a header, by one of its aliases.

    Raises:
        InputError: The column is missing or there several times.
    """
    plain = [name.replace("_", "").replace(" ", "").lower() for name in header]
    for alias in column.aliases:
        if plain.count(alias) == 1:
            return plain.index(alias)
    raise InputError(f"{path} has no column {column.name}, or several (it has: {', '.join(header)}): add it or rename one.")


def typed_rows(path: Path, parts: Iterable[RawRows], columns: Mapping[str, Column], tally: Tally) -> Iterator[list[np.ndarray]]:
    """Yields the rows of a table as typed arrays: int64, float64, or objects that are bytes.

    Args:
        path: The file, for messages.
        parts: Its rows, from `tables.read_table`.
        columns: The type of each wanted column, by its name in the table.
        tally: Counts the rows that cannot be read or hold a value that is not legal.

    Raises:
        InputError: A row is broken, and broken rows are not skipped.
    """
    for rows in parts:
        raw = {name: rows.columns[name] for name in columns}
        typed = {name: column.typed(raw[name]) for name, column in columns.items()}
        for name, column in columns.items():
            tally.note(FRACTIONS.format(column.name), typed[name].fractions)
        faults = [(typed[name].broken, partial(column.fault_at, raw[name])) for name, column in columns.items()]
        kept = pa.array(sound_rows(path, rows, faults, tally))
        yield [typed[name].values.filter(kept).to_numpy(zero_copy_only=False) for name in columns]


def typed_batches(
    path: Path, rows: Iterator[tuple[int, Row]], width: int, columns: Sequence[tuple[int, Column]], tally: Tally
) -> Iterator[list[np.ndarray]]:
    """Yields batches of at most `BATCH_SIZE` rows as typed arrays, one for each column; `tally` counts broken rows.

    Args:
        path: The file, for messages.
        rows: Number and values of each line, without the header.
        width: How many values a row must have.
        columns: Place and type of each wanted column.
        tally: Counts the rows that have too few or too many values, or a value that is not legal.

    Raises:
        InputError: A row is broken, and broken rows are not skipped.
    """
    while batch := list(islice(rows, BATCH_SIZE)):
        try:  # all rows at once is several times as fast
            yield _arrays([row for _, row in batch], width, columns)
        except ValueError:
            yield _arrays([row for number, row in batch if _is_sound(path, number, row, width, columns, tally)], width, columns)


def _is_sound(path: Path, number: int, row: Row, width: int, columns: Sequence[tuple[int, Column]], tally: Tally) -> bool:
    fault: str | None = None
    if len(row) != width:
        fault = width_fault(row, f", but must have {width}")
    else:
        fault = next((found for place, column in columns if (found := column.fault(row[place]))), None)
    if fault:
        tally.count_broken(path, number, fault)
    return fault is None


def _arrays(rows: list[Row], width: int, columns: Sequence[tuple[int, Column]]) -> list[np.ndarray]:
    """Returns the columns of N rows as (N,) arrays of int64, float64, or objects that are bytes.

    Raises:
        ValueError: A row is broken.
    """
    if any(len(row) != width for row in rows):
        raise ValueError("a row is too short or too long")
    return [_array(column, [row[place] for row in rows]) for place, column in columns]


def _array(column: Column, texts: list[str]) -> np.ndarray:
    if column.dtype == "bytes":
        values = np.empty(len(texts), object)
        values[:] = [column.parse(text) for text in texts]
        return values
    if "_" in "".join(texts):
        raise ValueError("an underscore, which Python allows in numbers")
    values = _integers(texts) if column.dtype == "int64" else np.array(list(map(float, texts)), np.float64)
    if not ((values >= column.low) & (values <= column.high)).all():
        raise ValueError("out of range")
    return values


def _integers(texts: list[str]) -> np.ndarray:
    try:
        return np.array(list(map(int, texts)), np.int64)
    except OverflowError as error:
        raise ValueError("out of range") from error
