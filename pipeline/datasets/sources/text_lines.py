"""Text files as streams: plain or gzipped, their lines numbered, and text values as typed columns with the line that is at fault."""

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Literal, TextIO, TypeVar

import numpy as np

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import BATCH_SIZE, Tally

INT64_MAX = 2**63 - 1
_YEAR_2100 = 4_102_444_800  # unix seconds; what lies beyond is in milliseconds
_BYTE_ORDER_MARKS = ("\udcff\udcfe", "\udcfe\udcff")  # of UTF-16, as they come where UTF-8 is read
_FIRST_LINE = 2**20  # characters that are looked at: a file without line ends is not read whole
Row = list[str]
T = TypeVar("T")


class BrokenRow(Row):
    """The row of a line that cannot be split into values: it has none.

    Attributes:
        fault: What is wrong with the line.
    """

    def __init__(self, fault: str):
        super().__init__()
        self.fault = fault


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


def read_lines(path: Path, encoding: str = "utf-8-sig") -> Iterator[tuple[int, str]]:
    """Number from 1 and text of each line that is not blank, gzipped files included; bytes that are no text come as lone surrogates.

    Raises:
        InputError: The file is missing, damaged or unreadable, its lines end in CR alone, or it looks like UTF-16 in another encoding.
    """
    try:
        with (
            gzip.open(path, "rt", encoding=encoding, errors="surrogateescape", newline="\n")
            if path.suffix == ".gz"
            else open(path, encoding=encoding, errors="surrogateescape", newline="\n")
        ) as file:
            for number, line in enumerate(chain((_first_line(path, file),), file), 1):
                if text := line.rstrip("\r\n"):
                    yield number, text
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: name the file or folder that holds the data.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}): download it again.") from error


def _first_line(path: Path, file: TextIO) -> str:
    line = file.readline(_FIRST_LINE)
    if line.startswith(_BYTE_ORDER_MARKS) or "\0" in line[:2]:
        raise InputError(
            f'{path} looks like UTF-16: convert it to UTF-8 (or, of a click log, set files.encoding = "utf-16" in the mapping).'
        )
    if line.endswith("\n"):
        return line
    if "\r" in line[:-1]:
        raise InputError(f"{path}: the line ends are CR: convert them to LF.")
    return line + file.readline()


def read_rows(path: Path, separator: str = ",", encoding: str = "utf-8-sig") -> Iterator[tuple[int, Row]]:
    """Number and values of each line. Where the separator is one character, values may be quoted; but not over several lines.

    A line that cannot be split comes as a `BrokenRow`.

    Raises:
        InputError: As `read_lines`.
    """
    lines = read_lines(path, encoding)
    if len(separator) > 1:
        yield from ((number, line.split(separator)) for number, line in lines)
        return
    for number, line in lines:
        if '"' not in line and "\r" not in line:  # three times as fast
            yield number, line.split(separator)
            continue
        try:
            (row,) = csv.reader((line,), delimiter=separator)
        except csv.Error as error:
            has_return = "new-line" in str(error)  # Python's advice is for programmers
            row = BrokenRow("it has a carriage return (CR) in a value that is not quoted" if has_return else f"it has a {error}")
        yield number, row


def header_of(path: Path, rows: Iterator[tuple[int, Row]]) -> Row:
    """The first row.

    Raises:
        InputError: There is none, or it cannot be split.
    """
    number, header = next(rows, (0, []))
    if isinstance(header, BrokenRow):
        raise InputError(f"{path}, line {number}: {header.fault}: mend the header.")
    if not header:
        raise InputError(f"{path} is empty: download it again.")
    return header


def require_rows(path: Path, rows: Iterator[tuple[int, T]]) -> Iterator[tuple[int, T]]:
    """The rows or lines, of which there must be one.

    Raises:
        InputError: There is none.
    """
    first = next(rows, None)
    if first is None:
        raise InputError(f"{path} holds no rows: download it again.")
    return chain((first,), rows)


def find(path: Path, header: Row, column: Column) -> int:
    """The place in a header of a column, by its name or an alias.

    Raises:
        InputError: It is not there, or several times.
    """
    plain = [name.replace("_", "").replace(" ", "").lower() for name in header]
    for alias in column.aliases:
        if plain.count(alias) == 1:
            return plain.index(alias)
    raise InputError(f"{path} has no column {column.name}, or several (it has: {', '.join(header)}): add it or rename one.")


def typed(
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


def width_fault(row: Row, width: str) -> str:
    """What is wrong with a row of another width than belongs there.

    Args:
        row: A row.
        width: That of a sound one, in words, e.g. "where 4 belong".
    """
    return row.fault if isinstance(row, BrokenRow) else f"it has {len(row)} value(s) {width}"


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
