"""Turns raw values of a click log (text, or values of JSON and Parquet) into typed values, in the same way for each format."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import pyarrow as pa

from pipeline.datasets.sources.clicklog.mapping import DType, LabelMapping, Unit, label_text
from pipeline.datasets.sources.typed_columns import INT64_MAX, time_column

UNKNOWN = b"(unknown)"
_TIME = time_column("timestamp")
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000}
_UNITS = {"s": "unix seconds", "ms": "unix milliseconds", "us": "unix microseconds", "iso": "ISO 8601"}
_LABELS = {"0": 0, "false": 0, "1": 1, "true": 1}


@dataclass(frozen=True)
class Field:
    """A column of the batches.

    Attributes:
        name: The name of the feature.
        column: The name of the column in the log.
        type: The type in the batches.
        parse: Turns a raw value that is not missing into a value; raises ValueError where it is not legal.
        expected: The legal values, in words.
        required: Whether a missing value is a fault.
        default: What a missing value becomes.
    """

    name: str
    column: str
    type: pa.DataType
    parse: Callable[[Any], Any]
    expected: str
    required: bool = False
    default: Any = None

    def value(self, raw: Any) -> Any:
        """Returns the typed value.

        Raises:
            ValueError: The value is missing or not legal.
        """
        if not is_missing(raw):
            return self.parse(raw)
        if self.required:
            raise ValueError("missing")
        return self.default

    def fault(self, raw: Any) -> str | None:
        """Says what is wrong with a raw value; None where it is legal."""
        try:
            self.value(raw)
        except ValueError:
            found = "missing" if is_missing(raw) else f"{raw!r:.80}"
            return f"{self.column} is {found}, but must be {self.expected}"
        return None


def is_missing(raw: Any) -> bool:
    """Whether there is no value: null, an empty text, or NaN."""
    return raw is None or raw in ("", b"") or raw != raw


def scalar_field(name: str, column: str, dtype: DType, is_id: bool, default: Any = None) -> Field:
    """Returns a column of single values. An id is never negative and, without a default, never missing."""
    required = is_id and default is None
    if dtype == "int64":
        parse, expected = (to_id, "a whole number from 0 up") if is_id else (to_int, "a whole number")
        return Field(name, column, pa.int64(), parse, expected, required, default)
    if dtype == "float":
        return Field(name, column, pa.float32(), to_float, "a number", required, default)
    return Field(name, column, pa.binary(), to_bytes, "text or a whole number", required, default)


def time_field(name: str, column: str, unit: Unit) -> Field:
    """Returns a column of times, in unix seconds."""
    return Field(name, column, pa.int64(), partial(to_seconds, unit=unit), f"a time until 2100 in {_UNITS[unit]}", required=True)


def label_field(name: str, mapping: LabelMapping, column: str) -> Field:
    """Returns a column of labels: 1, 0, or None for values that are neither."""
    parse: Callable[[Any], int | None]
    if mapping.at_least is not None:
        parse, expected = partial(_label_of_number, at_least=mapping.at_least), "a number"
    elif mapping.positive:
        positive = dict.fromkeys(map(label_text, mapping.positive), 1)
        others = None if mapping.negative is None else dict.fromkeys(map(label_text, mapping.negative), 0)
        parse, expected = partial(_label_of_word, labels=positive | (others or {}), other=0 if others is None else None), "text or a number"
    else:
        parse, expected = _label, "0 or 1"
    return Field(name, column, pa.int64(), parse, expected, required=True)


def list_field(element: Field, separator: str) -> Field:
    """Returns a column of lists of an element; a missing list becomes an empty one."""
    expected = f"a list{f' separated by {separator!r}' if separator else ''} ({element.expected} each)"
    parse = partial(_to_list, element=element, separator=separator)
    return Field(element.name, element.column, pa.list_(element.type), parse, expected, default=[])


def to_text(raw: Any) -> str:
    """Returns the text of a text, a whole number, or a truth value (as JSON writes it)."""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bytes):
        return raw.decode()
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int):
        return str(raw)
    raise ValueError("not a text")


def to_bytes(raw: Any) -> bytes:
    """Returns text as bytes in UTF-8."""
    return raw if isinstance(raw, bytes) else to_text(raw).encode()


def to_int(raw: Any, low: int = -INT64_MAX - 1) -> int:
    """Returns a whole number of 64 bits, `low` or more."""
    number = int(raw) if isinstance(raw, int) else int(_plain(raw))
    if not low <= number <= INT64_MAX:
        raise ValueError("out of range")
    return number


to_id = partial(to_int, low=0)


def to_float(raw: Any) -> float | None:
    """Returns a number; None for the text "nan"."""
    number = float(raw) if isinstance(raw, int | float) else float(_plain(raw))
    if math.isinf(number):
        raise ValueError("out of range")
    return None if math.isnan(number) else number


def to_seconds(raw: Any, unit: Unit) -> int:
    """Returns the whole unix seconds of a time, rounded down."""
    if isinstance(raw, date):
        seconds = _unix(raw)
    elif unit == "iso":
        seconds = _unix(datetime.fromisoformat(to_text(raw)))
    else:
        seconds = math.floor(_number(raw) // _PER_SECOND[unit])
    if not _TIME.low <= seconds <= _TIME.high:
        raise ValueError("out of range")
    return seconds


def _label(raw: Any) -> int:
    text = label_text(raw)
    if text not in _LABELS:
        raise ValueError("neither 0 nor 1")
    return _LABELS[text]


def _label_of_number(raw: Any, at_least: float) -> int:
    number = to_float(raw)
    if number is None:
        raise ValueError("not a number")
    return int(number >= at_least)


def _label_of_word(raw: Any, labels: dict[str, int], other: int | None) -> int | None:
    return labels.get(label_text(raw), other)


def _to_list(raw: Any, element: Field, separator: str) -> list[Any]:
    if isinstance(raw, str | bytes):
        if not separator:
            raise ValueError("not a list")
        raw = to_text(raw).split(separator)
    if not isinstance(raw, list):
        raise ValueError("not a list")
    return [element.value(value) for value in raw]


def _plain(raw: Any) -> str:
    text = to_text(raw)
    if "_" in text:
        raise ValueError("an underscore, which Python allows in numbers")
    return text


def _number(raw: Any) -> int | float:
    if isinstance(raw, float):
        number: int | float = raw
    else:
        text = _plain(raw)
        try:
            number = int(text)
        except ValueError:
            number = float(text)
    if not math.isfinite(number):
        raise ValueError("out of range")
    return number


def _unix(moment: date) -> int:
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    return math.floor((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
