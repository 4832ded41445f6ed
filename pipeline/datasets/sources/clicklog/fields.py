"""The columns of a click log's batches: how each is made of raw values, and what is said about a value that is not legal."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa

from pipeline.datasets.sources.clicklog.mapping import LabelMapping, Mapping, label_text
from pipeline.datasets.sources.clicklog.times import expected_time, to_seconds
from pipeline.datasets.sources.interactions import CANDIDATE, EVENT, HISTORICAL, ITEM, REQUEST, TIMESTAMP, USER, Tally
from pipeline.datasets.tables.typed_values import (
    FRACTIONS,
    Typed,
    by_unique,
    id_texts,
    numbers,
    shown,
    texts,
    to_float,
    whole_numbers,
    without_missing,
)

UNKNOWN = b"(unknown)"
_INT64 = pa.int64()
_LABELS = {"0": 0, "false": 0, "1": 1, "true": 1}


@dataclass(frozen=True)
class Field:
    """A column of the batches.

    Attributes:
        name: The name of the feature.
        column: The name of the column in the log.
        type: The type in the batches.
        convert: Returns the typed values of raw ones.
        expected: The legal values, in words.
        required: Whether a missing value is a fault.
        default: What a missing value becomes.
    """

    name: str
    column: str
    type: pa.DataType
    convert: Callable[[pa.Array], Typed]
    expected: str
    required: bool = False
    default: Any = None

    def typed(self, raw: pa.Array, tally: Tally) -> Typed:
        """Returns the typed values; `tally` notes whole numbers that are written with a fraction."""
        values, broken, fractions = self.convert(raw)
        tally.note(FRACTIONS.format(self.column), fractions)
        if self.required:
            broken = broken | values.is_null().to_numpy(zero_copy_only=False)
        values = values.cast(self.type)
        return Typed(values if self.default is None else values.fill_null(self.default), broken)

    def fault(self, raw: pa.Array, place: int) -> str:
        """Says what is wrong with the raw value at a place."""
        value = raw.slice(place, 1)
        found = "missing" if without_missing(value).null_count else shown(raw, place)
        if found != "missing" and not self.convert(value).broken[0]:
            found += " (no value)"
        has_line_end = self.type == pa.binary() and any(mark in found for mark in (r"\n", r"\r", r"\x00"))
        return f"{self.column} is {found}, but must be {'text without line ends (CR, LF) and NUL' if has_line_end else self.expected}"


def feature(meaning: Mapping, name: str, column: str) -> Field:
    """Returns the column of a feature, of a field of the candidate, of an id, or of the time."""
    missing = meaning.missing_texts(name)
    if name == TIMESTAMP:
        convert = partial(to_seconds, form=meaning.timestamp, missing=missing)
        return Field(name, column, pa.int64(), convert, expected_time(meaning.timestamp), required=True)
    is_further = name.startswith(CANDIDATE) and name != ITEM and meaning.dtype(name) != "float"
    default = UNKNOWN if is_further and meaning.dtype(name) == "bytes" else None
    is_id = is_further or name in (USER, ITEM, REQUEST)
    return scalar(meaning, name, column, is_id=is_id, required=is_id and default is None, default=default)


def event(meaning: Mapping, name: str, column: str) -> Field:
    """Returns the column of what is known of a click only after it."""
    field = scalar(meaning, name, column, is_id=False)
    return replace(field, name=EVENT + name.removeprefix(HISTORICAL))


def scalar(meaning: Mapping, name: str, column: str, is_id: bool, required: bool = False, default: Any = None) -> Field:
    """Returns a column of single values. An id is never negative."""
    missing, dtype = meaning.missing_texts(name), meaning.dtype(name)
    if dtype == "int64" and is_id:
        convert: Callable[[pa.Array], Typed] = partial(whole_numbers, missing=missing, low=0)
        return Field(name, column, pa.int64(), convert, "a whole number from 0 up", required, default)
    if dtype == "int64":
        return Field(name, column, pa.int64(), partial(whole_numbers, missing=missing), "a whole number")
    if dtype == "float":
        return Field(name, column, pa.float32(), partial(numbers, missing=missing), "a number")
    convert = partial(id_texts if is_id else texts, missing=missing)
    return Field(name, column, pa.binary(), convert, "text or a whole number", required, default)


def label(name: str, mapping: LabelMapping, column: str, kind: pa.DataType = _INT64) -> Field:
    """Returns a column of labels: 1, 0, or null for values that are neither."""
    parse: Callable[[Any], int | None]
    if mapping.at_least is not None:
        parse, expected = partial(_label_of_number, at_least=mapping.at_least), "a number"
    elif mapping.positive:
        positive = dict.fromkeys(map(label_text, mapping.positive), 1)
        others = None if mapping.negative is None else dict.fromkeys(map(label_text, mapping.negative), 0)
        parse, expected = partial(_label_of_word, labels=positive | (others or {}), other=0 if others is None else None), "text or a number"
    else:
        parse, expected = _label, "0 or 1"
    return Field(name, column, kind, partial(_labels, parse=parse), expected)


def _labels(raw: pa.Array, parse: Callable[[Any], int | None]) -> Typed:
    present = without_missing(raw)
    typed = by_unique(present, parse, pa.int64())
    return typed._replace(broken=typed.broken | present.is_null().to_numpy(zero_copy_only=False))


def _label(raw: Any) -> int:
    text = label_text(raw)
    if text not in _LABELS:
        raise ValueError("neither 0 nor 1")
    return _LABELS[text]


def _label_of_number(raw: Any, at_least: float) -> int:
    number = to_float(raw)
    if number is None or math.isinf(number):
        raise ValueError("not a number")
    return int(number >= at_least)


def _label_of_word(raw: Any, labels: dict[str, int], other: int | None) -> int | None:
    return labels.get(label_text(raw), other)
