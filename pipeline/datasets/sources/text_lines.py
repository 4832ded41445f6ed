"""Text files as streams: plain or gzipped, with the number of each line, and each line split into values."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TextIO, TypeVar

from components.base.errors import InputError

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


def width_fault(row: Row, width: str) -> str:
    """What is wrong with a row of another width than belongs there.

    Args:
        row: A row.
        width: That of a sound one, in words, e.g. "where 4 belong".
    """
    return row.fault if isinstance(row, BrokenRow) else f"it has {len(row)} value(s) {width}"


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
