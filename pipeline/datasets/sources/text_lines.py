"""Text files as streams: plain or gzipped, with the number of each line, and each line split into values."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TextIO, TypeVar

from components.base.errors import InputError

_BYTE_ORDER_MARKS = ("\udcff\udcfe", "\udcfe\udcff")  # of UTF-16, as they look when they are read as UTF-8
_FIRST_LINE = 2**20  # characters: limits what is read of a file without line ends
Row = list[str]
T = TypeVar("T")


class BrokenRow(Row):
    """The row of a line that cannot be split into values; it is empty.

    Attributes:
        fault: What is wrong with the line.
    """

    def __init__(self, fault: str):
        super().__init__()
        self.fault = fault


def read_lines(path: Path, encoding: str = "utf-8-sig") -> Iterator[tuple[int, str]]:
    """Yields the number (from 1) and the text of each line that is not blank, also of a gzipped file.

    Bytes that are not text in this encoding become lone surrogates.

    Raises:
        InputError: The file is missing, damaged or unreadable, its lines end in CR without LF, or it looks like UTF-16 in another encoding.
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
    """Yields the number and the values of each line; a line that cannot be split becomes a `BrokenRow`.

    Where the separator is one character, values may be quoted, but not over several lines.

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
            has_return = "new-line" in str(error)  # Python's own message is for programmers
            row = BrokenRow("it has a carriage return (CR) in a value that is not quoted" if has_return else f"it has a {error}")
        yield number, row


def width_fault(row: Row, width: str) -> str:
    """Says what is wrong with a row that has too few or too many values.

    Args:
        row: The row.
        width: How many values it must have, in words, e.g. ", but must have 4".
    """
    return row.fault if isinstance(row, BrokenRow) else f"it has {len(row)} value(s){width}"


def header_of(path: Path, rows: Iterator[tuple[int, Row]]) -> Row:
    """Returns the first row.

    Raises:
        InputError: There is no row, or it cannot be split.
    """
    number, header = next(rows, (0, []))
    if isinstance(header, BrokenRow):
        raise InputError(f"{path}, line {number}: {header.fault}: correct the header.")
    if not header:
        raise InputError(f"{path} is empty: download it again.")
    return header


def require_rows(path: Path, rows: Iterator[tuple[int, T]]) -> Iterator[tuple[int, T]]:
    """Yields the rows or lines, and checks that there is at least one.

    Raises:
        InputError: There is none.
    """
    first = next(rows, None)
    if first is None:
        raise InputError(f"{path} holds no rows: download it again.")
    return chain((first,), rows)
