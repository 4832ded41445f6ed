"""Turns raw columns (text, or values of JSON and Parquet) into typed ones: whole columns at once where they are plain, else value by value.

Where a column is not plain, each different value is converted once, by the functions for single values in this module.
"""

import contextlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

INT64_MAX = 2**63 - 1
FRACTIONS = "whole numbers of {} are written with a fraction: 25.0 is taken for 25"  # how `Typed.fractions` is reported
_EXACT = 2**53  # floats from here on may have lost digits
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_LINE_ENDS = r"[\n\r\x00]"
_FRACTION_OF_0 = r"^([+-]?[0-9]+)\.0*$"


class Typed(NamedTuple):
    """A column of N values.

    Attributes:
        values: The typed values; null where there is none, and where the raw one is not legal.
        broken: (N,) bool: whether the raw value is not legal.
        fractions: How many whole numbers were written with a fraction, such as 25.0.
    """

    values: pa.Array
    broken: np.ndarray
    fractions: int = 0


def without_missing(raw: pa.Array, texts: tuple[str, ...] = ()) -> pa.Array:
    """Returns the column with null for each value that means "no value": null, an empty text, NaN, and those with one of these texts.

    Numbers are compared as numbers: "-1" is also -1.0.
    """
    raw = _plain(raw)
    kind = raw.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        missing = pc.is_in(raw, pa.array(["", *texts]).cast(kind)) if texts else pc.equal(raw, pa.scalar("").cast(kind))
    elif pa.types.is_integer(kind) and texts:
        whole = [int(number) for number in _numbers(texts) if abs(number) < _EXACT]
        missing = pc.is_in(raw.cast(pa.int64(), safe=False), pa.array(whole, pa.int64()))
    elif pa.types.is_floating(kind):
        missing = pc.is_in(raw.cast(pa.float64()), pa.array([math.nan, *_numbers(texts)], pa.float64()))
    else:
        return raw
    return null_where(raw, missing)


def whole_numbers(raw: pa.Array, missing: tuple[str, ...] = (), low: int = -INT64_MAX - 1) -> Typed:
    """Returns the column as int64, each `low` or more; "25.0" and 25.0 are 25."""
    raw = without_missing(raw, missing)
    try:
        typed = sound(_whole(raw))
    except pa.ArrowInvalid:
        typed = by_unique(raw, to_int, pa.int64())
        fractions = pc.match_substring(raw, ".").filter(pa.array(~typed.broken)) if pa.types.is_string(raw.type) else None
        typed = typed._replace(fractions=0 if fractions is None else fractions.true_count)
    if pa.types.is_floating(raw.type):
        typed = typed._replace(fractions=typed.values.is_valid().true_count)
    typed = typed._replace(values=without_missing(typed.values, missing))
    return refused(typed, pc.less(typed.values, low)) if low > -INT64_MAX - 1 else typed


def numbers(raw: pa.Array, missing: tuple[str, ...] = ()) -> Typed:
    """Returns the column as float64; the text "nan" is no value, and infinite and too large ones for float32 are not legal."""
    raw = without_missing(raw, missing)
    try:
        values = raw.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        typed = by_unique(raw, to_float, pa.float64())
    else:
        typed = sound(values)
    typed = typed._replace(values=without_missing(typed.values, missing))
    return refused(typed, pc.greater(pc.abs(typed.values), _FLOAT32_MAX))


def texts(raw: pa.Array, missing: tuple[str, ...] = ()) -> Typed:
    """Returns the column as bytes: texts in UTF-8, whole numbers (25.0 is 25) and truth values.

    Texts with a line end (CR, LF) or NUL are not legal, since no vocabulary can hold them.
    """
    raw = without_missing(raw, missing)
    if pa.types.is_integer(raw.type) or pa.types.is_boolean(raw.type) or pa.types.is_null(raw.type):
        raw = raw.cast(pa.string())
    if not (pa.types.is_string(raw.type) or pa.types.is_binary(raw.type)):
        typed = by_unique(raw, to_bytes, pa.binary())
        return typed._replace(fractions=typed.values.is_valid().true_count if pa.types.is_floating(raw.type) else 0)
    return _without_line_ends(sound(raw.cast(pa.binary())))


def id_texts(raw: pa.Array, missing: tuple[str, ...] = ()) -> Typed:
    """As `texts`, for ids: "3.0", as a column with missing values is often written, is "3"."""
    typed = texts(raw, missing)
    if not (pa.types.is_string(raw.type) and pc.any(pc.match_substring(raw, ".")).as_py()):
        return typed
    fractions = pc.match_substring_regex(typed.values, _FRACTION_OF_0)
    values = pc.replace_substring_regex(typed.values, _FRACTION_OF_0, r"\1")
    return Typed(without_missing(values, missing), typed.broken, fractions.true_count)


def by_unique(raw: pa.Array, parse: Callable[[Any], Any], kind: pa.DataType) -> Typed:
    """Converts each different value once.

    Args:
        raw: A column without missing values other than null.
        parse: Returns the typed value, or None for "no value"; raises ValueError where the raw value is not legal.
        kind: The type of the typed values.
    """
    try:
        encoded = raw.dictionary_encode()
    except pa.ArrowNotImplementedError:  # lists and objects
        return Typed(pa.nulls(len(raw), kind), raw.is_valid().to_numpy(zero_copy_only=False))
    values, broken = [], []
    for scalar in encoded.dictionary:
        try:
            values.append(parse(scalar.as_py()))
            broken.append(False)
        except (ValueError, OverflowError):
            values.append(None)
            broken.append(True)
    is_broken = pa.array(broken, pa.bool_()).take(encoded.indices).fill_null(False)
    return Typed(pa.array(values, kind).take(encoded.indices), is_broken.to_numpy(zero_copy_only=False))


def refused(typed: Typed, condition: pa.Array) -> Typed:
    """Returns the column with those values broken for which the condition is true."""
    wrong = condition.fill_null(False).to_numpy(zero_copy_only=False)
    if not wrong.any():
        return typed
    return typed._replace(values=null_where(typed.values, pa.array(wrong)), broken=typed.broken | wrong)


def null_where(values: pa.Array, condition: pa.Array) -> pa.Array:
    """Returns the values with null where the condition is true.

    `pyarrow.compute.if_else` with a scalar gives wrong texts where `values` is a part of a longer array (pyarrow 18.1).
    """
    return pc.replace_with_mask(values, condition.fill_null(False), pa.scalar(None, values.type))


def shown(raw: pa.Array, place: int) -> str:
    """Returns a raw value for a message."""
    try:
        return f"{raw[place].as_py()!r:.80}"
    except (ValueError, OverflowError) as error:  # Python has no such value, e.g. a time after the year 9999
        return f"({error})"


def to_int(raw: Any) -> int:
    """Returns a whole number of 64 bits.

    Raises:
        ValueError: It is not one.
    """
    if isinstance(raw, int):
        number = int(raw)
    elif isinstance(raw, float):
        number = _whole_float(raw)
    else:
        text = plain_text(raw)
        try:
            number = int(text)
        except ValueError:
            number = _whole_float(float(text))
    if not -INT64_MAX - 1 <= number <= INT64_MAX:
        raise ValueError("out of range")
    return number


def to_float(raw: Any) -> float | None:
    """Returns a number; None for the text "nan"."""
    number = float(raw) if isinstance(raw, int | float) else float(plain_text(raw))
    return None if math.isnan(number) else number


def to_text(raw: Any) -> str:
    """Returns the text of a text, a whole number, or a truth value (as JSON writes it)."""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bytes):
        return raw.decode()
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int | float):
        return str(to_int(raw))
    raise ValueError("not a text")


def to_bytes(raw: Any) -> bytes:
    """Returns text as bytes in UTF-8."""
    return to_text(raw).encode()


def plain_text(raw: Any) -> str:
    """Returns the text of a number; Python's own readers of numbers allow an underscore in it."""
    text = to_text(raw)
    if "_" in text:
        raise ValueError("an underscore")
    return text


def _plain(raw: pa.Array) -> pa.Array:
    """Returns the column in one of Arrow's simple types: codes of a dictionary as values, large texts as texts, decimals as numbers."""
    kind = raw.type
    if pa.types.is_dictionary(kind):
        return _plain(raw.dictionary_decode())
    if pa.types.is_decimal(kind):
        try:
            return raw.cast(pa.int64())
        except pa.ArrowInvalid:  # a fraction, or beyond 64 bits
            return raw.cast(pa.float64() if kind.scale else pa.string())
    if pa.types.is_float16(kind):
        return raw.cast(pa.float32())
    if pa.types.is_large_string(kind):
        return raw.cast(pa.string())
    if pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return raw.cast(pa.binary())
    return raw


def _numbers(texts: tuple[str, ...]) -> list[float]:
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):
            found.append(float(text))
    return [number for number in found if math.isfinite(number)]


def _whole(raw: pa.Array) -> pa.Array:
    """Returns a plain column of whole numbers.

    Raises:
        pa.ArrowInvalid: It is not plain.
    """
    kind = raw.type
    if pa.types.is_string(kind):
        if pc.any(pc.match_substring(raw, "x", ignore_case=True)).as_py():
            raise pa.ArrowInvalid("Arrow would read hexadecimal numbers")
    elif pa.types.is_floating(kind):
        if pc.any(pc.greater_equal(pc.abs(raw), _EXACT)).as_py():
            raise pa.ArrowInvalid("digits may be lost")
    elif not (pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise pa.ArrowInvalid("not numbers")
    return raw.cast(pa.int64())


def _whole_float(number: float) -> int:
    if not number.is_integer() or abs(number) >= _EXACT:
        raise ValueError("not a whole number, or one that has lost digits")
    return int(number)


def sound(values: pa.Array) -> Typed:
    """Returns values of which none is broken."""
    return Typed(values, np.zeros(len(values), bool))


def _without_line_ends(typed: Typed) -> Typed:
    data = typed.values.buffers()[2]
    if data is None or not (np.frombuffer(data, np.uint8) <= ord("\r")).any():  # so most columns are looked at once
        return typed
    return refused(typed, pc.match_substring_regex(typed.values, _LINE_ENDS))
