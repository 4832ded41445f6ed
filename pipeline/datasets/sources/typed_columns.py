"""Typed columns of text values: what is legal, and which line is wrong where a value is not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import BATCH_SIZE, Tally
from pipeline.datasets.sources.text_lines import Row, width_fault

INT64_MAX = 2**63 - 1
_YEAR_2100 = 4_102_444_800  # unix seconds; what lies beyond is in milliseconds


@dataclass(frozen=True)
class Column:
    """What text values of a column become, and which are legal.

    Attributes:
        name: As its source calls it, for messages.
        aliases: Its names in the wild: lower case, without underscores and spaces.
        dtype: "int64", "float" or "bytes".
        low: Least legal number.
        high: Greatest legal number.
        expected: The legal values, in words.
        choices: The legal texts of bytes; any where empty.
    """

    name: str
    aliases: tuple[str, ...] = ()
    dtype: Literal["int64", "float", "bytes"] = "int64"
    low: float = 0
    high: float = INT64_MAX
    expected: str = "a whole number from 0 up"
    choices: tuple[str, ...] = ()

    def parse(self, text: str) -> int | float | bytes:
        """The value.

        Raises:
            ValueError: It is not legal.
        """
        if self.dtype == "bytes":
            if self.choices and text not in self.choices:
                raise ValueError("not one of the choices")
            return text.encode()  # a UnicodeEncodeError, which is a ValueError, where it was no UTF-8
        if "_" in text:
            raise ValueError("Python would take it")
        value = int(text) if self.dtype == "int64" else float(text)
        if not self.low <= value <= self.high:
            raise ValueError("out of range")
        return value

    def fault(self, text: str) -> str | None:
        """What is wrong with a value, in words; None where nothing is."""
        try:
            self.parse(text)
        except ValueError:
            return f"{self.name} is {text!r} where {self.expected} belongs"
        return None


def time_column(name: str, *aliases: str) -> Column:
    """A column of unix seconds."""
    return Column(name, aliases, high=_YEAR_2100, expected="a time in whole unix seconds")


def find_column(path: Path, header: Row, column: Column) -> int:
    """The place in a header of a column, by its name or an alias.

    Raises:
        InputError: It is not there, or several times.
    """
    plain = [name.replace("_", "").replace(" ", "").lower() for name in header]
    for alias in column.aliases:
        if plain.count(alias) == 1:
            return plain.index(alias)
    raise InputError(f"{path} has no column {column.name}, or several (it has: {', '.join(header)}): add it or rename one.")


def typed_batches(
    path: Path, rows: Iterator[tuple[int, Row]], width: int, columns: Sequence[tuple[int, Column]], tally: Tally
) -> Iterator[list[np.ndarray]]:
    """Batches of at most `BATCH_SIZE` rows as typed arrays, one a column; broken rows go to the tally.

    Args:
        path: The file, for messages.
        rows: Numbers and values of its lines, without the header.
        width: Values that a row must have.
        columns: Place and type of each column wanted.
        tally: Told of rows that are too short or long, or hold a value that is not legal.

    Raises:
        InputError: A row is broken and broken rows are not to be skipped.
    """
    while batch := list(islice(rows, BATCH_SIZE)):
        try:  # all at once, several times as fast
            yield _arrays([row for _, row in batch], width, columns)
        except ValueError:
            yield _arrays([row for number, row in batch if _is_sound(path, number, row, width, columns, tally)], width, columns)


def _is_sound(path: Path, number: int, row: Row, width: int, columns: Sequence[tuple[int, Column]], tally: Tally) -> bool:
    fault: str | None = None
    if len(row) != width:
        fault = width_fault(row, f"where {width} belong")
    else:
        fault = next((found for place, column in columns if (found := column.fault(row[place]))), None)
    if fault:
        tally.break_off(path, number, fault)
    return fault is None


def _arrays(rows: list[Row], width: int, columns: Sequence[tuple[int, Column]]) -> list[np.ndarray]:
    """The columns of whole rows: (N,) int64, float64, or objects that are bytes.

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
        raise ValueError("Python would take it")
    values = _integers(texts) if column.dtype == "int64" else np.array(list(map(float, texts)), np.float64)
    if not ((values >= column.low) & (values <= column.high)).all():
        raise ValueError("out of range")
    return values


def _integers(texts: list[str]) -> np.ndarray:
    try:
        return np.array(list(map(int, texts)), np.int64)
    except OverflowError as error:
        raise ValueError("out of range") from error
