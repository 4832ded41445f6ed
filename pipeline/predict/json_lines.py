"""Reads JSON lines strictly: what could be misread gets one sentence that names the line."""

import io
import json
import math
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

from components.base.errors import InputError

_LONGEST = 16 * 2**20  # characters of a line; a file without line ends would fill the memory
_MOST_DIGITS = 400  # of a whole number; Python refuses 4,300 in its own words
_NOT_UTF8 = {
    b"\x1f\x8b": "is gzipped: unpack it (gunzip), or name the folder of a data set, whose TFRecords may be gzipped",
    b"\xff\xfe": "is UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)",
    b"\xfe\xff": "is UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)",
}


def read_json_lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the number of each line that is not blank, and its JSON object. A byte order mark is skipped; NaN is read as null.

    Raises:
        InputError: The file cannot be read, or a line is not one JSON object in UTF-8. Keys that occur twice and infinite numbers are
            refused, too.
    """
    try:
        with open(file, "rb") as stream:
            begin = stream.peek(2)[:2]
            if begin in _NOT_UTF8:
                raise InputError(f"{file} {_NOT_UTF8[begin]}.")
            text = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape")
            for number in count(1):
                line = text.readline(_LONGEST + 1)
                if not line:
                    return
                line = line.strip().strip("\ufeff")
                if line:
                    yield number, _parse(line, f"{file}, line {number}")
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): give a JSONL file, such as a data set's sample.jsonl.") from error


def _parse(line: str, where: str) -> dict[str, Any]:
    if len(line) >= _LONGEST:
        raise InputError(f"{where} is longer than {_LONGEST:,} characters: write one JSON object a line.")
    if "\0" in line:
        raise InputError(f"{where} holds NUL characters: convert the file to UTF-8, if it is UTF-16 (iconv -f UTF-16 -t UTF-8).")
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where} is not UTF-8 at character {error.start + 1}: convert the file to UTF-8.") from error
    try:
        row = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where} is not JSON ({error.msg}, column {error.colno}): write one JSON object a line.") from error
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise InputError(f"{where} cannot be read: {reason}.") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: a JSON object is needed, one impression a line.")
    return row


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} occurs twice")
    return row


def _constant(name: str) -> None:
    if name != "NaN":
        _refuse_number(name)


def _float(digits: str) -> float:
    value = float(digits)
    return _refuse_number(digits) if math.isinf(value) else value


def _int(digits: str) -> int:
    return _refuse_number(f"{digits[:20]}…") if len(digits) > _MOST_DIGITS else int(digits)


def _refuse_number(shown: str) -> NoReturn:
    raise ValueError(f"the number {shown} is too large")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int)
