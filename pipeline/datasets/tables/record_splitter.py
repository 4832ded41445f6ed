"""Finds where the rows of a text begin and end, and which quotes are wrong, so that each row has the number of its line.

Arrow's reader of CSV does not count lines, and takes all lines between two stray quotes for one value, without a word.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from components.base.errors import InputError
from pipeline.datasets.tables.text_stream import read_blocks

RECORD_LIMIT = 2**24  # bytes of a row; it bounds the memory
_LF, _CR, _OTHER = b"\n\rx"
_STRAY_CR = "it has a carriage return (CR) in a value that is not quoted"
_ADVICE = 'where quotes are part of the text, a click log needs files.quote = "" in its mapping, or files.escape'


@dataclass(frozen=True)
class Marks:
    """The characters of CSV, one byte each; an empty text where there is none."""

    separator: str
    quote: str = ""
    escape: str = ""


class Records(NamedTuple):
    """Some whole rows.

    Attributes:
        text: Their bytes.
        ends: (R,) where each row ends in `text`, after its line end.
        lines: (R,) the number of its first line, from 1.
        faults: What is wrong with rows, by their place among these.
    """

    text: bytes
    ends: np.ndarray
    lines: np.ndarray
    faults: dict[int, str]


class _Quotes(NamedTuple):
    """Quoted values from `begins` to `ends`, places of their quotes; and what is wrong at other places."""

    begins: np.ndarray
    ends: np.ndarray
    faults: dict[int, str]

    def hold(self, places: np.ndarray) -> np.ndarray:
        """(N,) places -> (N,) bool: whether each is in a quoted value."""
        if not self.begins.size:
            return np.zeros(len(places), bool)
        before = np.searchsorted(self.begins, places) - 1
        return (before >= 0) & (places < self.ends[before])


def read_records(path: Path, encoding: str, marks: Marks | None = None) -> Iterator[Records]:
    """Yields the rows of a file, some at a time.

    Args:
        path: A text.
        encoding: Its encoding.
        marks: None: each line is a row.

    Raises:
        InputError: The file cannot be read, or has a row of more than `RECORD_LIMIT` bytes.
    """
    text, line = b"", 1
    for block in read_blocks(path, encoding):
        text += block
        records = _split(text, line, marks, is_last=False)
        if records is None and len(text) > RECORD_LIMIT:
            records = _split(text[: text.rfind(b"\n") + 1], line, marks, is_last=True)  # a quoted value that does not end
            if records is None:
                raise InputError(f"{path}, line {line} has more than {RECORD_LIMIT:,} bytes: it is damaged, or is not a table in text.")
        if records:
            yield records
            text, line = text[len(records.text) :], line + records.text.count(b"\n")
    if text and (records := _split(text.removesuffix(b"\n") + b"\n", line, marks, is_last=True)):
        yield records


def _split(text: bytes, line: int, marks: Marks | None, is_last: bool) -> Records | None:
    """Splits a text that begins with a row; None where it holds no whole one. The last text ends with a line end."""
    data = np.frombuffer(text, np.uint8)
    line_ends = ends = np.flatnonzero(data == _LF)
    faults: dict[int, str] = {}
    quotes = _Quotes(ends[:0], ends[:0], {})
    if marks and marks.escape and marks.escape.encode() in text:
        data = _without_escaped(data, ord(marks.escape))
        if is_last:
            data[-1] = _LF  # an escape at the very end hides nothing
        ends = np.flatnonzero(data == _LF)
    if marks and marks.quote and marks.quote.encode() in text:
        quotes = _find_quotes(data, line_ends, marks, is_last)
        ends = ends[~quotes.hold(ends)]
    if not ends.size:
        return None
    ends = ends + 1
    for place in sorted(quotes.faults):
        faults.setdefault(int(np.searchsorted(ends, place, "right")), quotes.faults[place])
    if marks and b"\r" in text:
        returns = np.flatnonzero(data[: ends[-1]] == _CR)
        returns = returns[data[returns + 1] != _LF]
        for record in np.unique(np.searchsorted(ends, returns[~quotes.hold(returns)], "right")).tolist():
            faults.setdefault(record, _STRAY_CR)
    faults.pop(len(ends), None)  # of the row that is not whole yet
    starts = np.concatenate(([0], ends[:-1]))
    return Records(text[: ends[-1]], ends, line + np.searchsorted(line_ends, starts), faults)


def _without_escaped(data: np.ndarray, escape: int) -> np.ndarray:
    """Returns the text with x in place of each character after an escape."""
    data = data.copy()
    escapes = np.flatnonzero(data == escape)
    first = np.diff(escapes, prepend=-2) != 1  # of some in a row, of which the second, fourth, … are escaped
    odd = (escapes - np.maximum.accumulate(np.where(first, escapes, 0))) % 2 == 0
    escaped = escapes[odd] + 1
    data[escaped[escaped < len(data)]] = _OTHER
    return data


def _find_quotes(data: np.ndarray, line_ends: np.ndarray, marks: Marks, is_last: bool) -> _Quotes:
    places = np.flatnonzero(data == ord(marks.quote))
    beside = (ord(marks.separator), _LF, _CR)
    may_open = np.isin(data[places - 1], beside) | (places == 0)
    may_close = np.isin(data[np.minimum(places + 1, len(data) - 1)], beside) | (places == len(data) - 1)
    doubled = np.diff(places) == 1  # two in a row are one of the value
    opens, closes = may_open | np.append(False, doubled), may_close | np.append(doubled, False)
    is_whole = len(places) % 2 == 0
    if opens[::2].all() and closes[1::2].all() and (is_whole or not is_last):  # as each writer of CSV does it
        return _Quotes(places[::2], places[1::2] if is_whole else np.append(places[1::2], len(data)), {})
    return _walk(data, places, may_open.tolist(), may_close.tolist(), line_ends, marks.separator, is_last)


def _walk(
    data: np.ndarray,
    places: np.ndarray,
    may_open: list[bool],
    may_close: list[bool],
    line_ends: np.ndarray,
    separator: str,
    is_last: bool,
) -> _Quotes:
    """Finds the quoted values one after the other. After a wrong quote it goes on in the next line, so that only one line is lost."""
    begins, ends, faults, at = [], [], dict[int, str](), 0
    while at < len(places):
        if not may_open[at]:  # in a value that is not quoted, a quote is part of the text
            at += 1
            continue
        end = at + 1
        while end + 1 < len(places) and places[end + 1] == places[end] + 1:
            end += 2
        if end < len(places) and may_close[end]:
            begins.append(places[at])
            ends.append(places[end])
            at = end + 1
        elif end >= len(places) and not is_last:
            begins.append(places[at])
            ends.append(len(data))
            break
        else:
            shown = bytes(data[places[at] : places[at] + 30]).split(b"\n")[0].decode(errors="replace")
            what = f"is not followed by the separator {separator!r}" if end < len(places) else "does not end"
            faults[int(places[at])] = f"the quoted value that begins with {shown} {what}; {_ADVICE}"
            next_line = np.searchsorted(line_ends, places[at])
            at = int(np.searchsorted(places, line_ends[next_line])) if next_line < len(line_ends) else len(places)
    return _Quotes(np.array(begins, np.int64), np.array(ends, np.int64), faults)
