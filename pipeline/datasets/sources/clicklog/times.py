"""Turns raw times (numbers, texts, or times of Parquet) into unix seconds, and finds out what was likely meant where no time is likely."""

import re
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.sources.clicklog.mapping import TimestampMapping
from pipeline.datasets.tables.typed_values import Typed, null_where, numbers, refused, sound, to_int, whole_numbers, without_missing

_YEAR_1990, _YEAR_2100, _A_YEAR = 631_152_000, 4_102_444_800, 366 * 86_400  # seconds
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_UNITS = {"s": "unix seconds", "ms": "unix milliseconds", "us": "unix microseconds", "ns": "unix nanoseconds", "iso": "ISO 8601"}
_ISO_DAY = r"^\s*\d{4}[-/]?\d{1,2}[-/]?\d{1,2}(\D|$)"  # pandas reads "now" and "2020" too
_FORMATS = {"%Y%m%d": 8, "%y%m%d%H": 8, "%Y%m%d%H": 10, "%Y%m%d%H%M": 12, "%Y%m%d%H%M%S": 14}  # and how many digits they have
_LOOKED_AT = 1000  # different values
_CODES_OF_FIGURES = re.compile("(%[YymdHMS])+")


def expected_time(form: TimestampMapping) -> str:
    """Returns what a time must be, in words."""
    return f"a time until 2100 {f'written as {form.format}' if form.format else f'in {_UNITS[form.unit]}'}"


def to_seconds(raw: pa.Array, form: TimestampMapping, missing: tuple[str, ...] = ()) -> Typed:
    """Returns whole unix seconds, rounded down, from 1970 to 2100."""
    raw = without_missing(raw, missing)
    if pa.types.is_temporal(raw.type):
        typed = _of_times(raw)
    elif form.format or form.unit == "iso":
        typed = _of_texts(raw, form.format)
    else:
        typed = _of_numbers(raw, _PER_SECOND[form.unit])
    return refused(typed, pc.or_(pc.less(typed.values, 0), pc.greater(typed.values, _YEAR_2100)))


def joined(day: pa.Array, time_of_day: pa.Array, form: str) -> pa.Array:
    """Returns day and time of day as one text; null where one of them is missing.

    Args:
        day: Days.
        time_of_day: Times of day.
        form: The form of both, with one blank between them; "": ISO 8601.
    """
    form_of_day, _, form_of_time = form.partition(" ")
    parts = ((day, form_of_day), (time_of_day, form_of_time))
    return pc.binary_join_element_wise(*(_with_zeros(_as_text(without_missing(column)), part) for column, part in parts), " ")


def likely_form(raw: pa.Array, typed: Typed) -> str | None:
    """Returns how the times are likely written, as in the mapping, where none is likely as it was read and all are likely in this way.

    Args:
        raw: Times.
        typed: What became of them.
    """
    raw = without_missing(raw)
    if pa.types.is_temporal(raw.type) or _likely(typed.values.to_numpy(zero_copy_only=False)).any():
        return None
    found = numbers(raw)
    values = found.values.drop_null().unique()[:_LOOKED_AT]
    if found.broken.any() or not len(values):
        return None
    for unit, factor in _PER_SECOND.items():
        if _likely(values.to_numpy() / factor).all():
            return f'unit = "{unit}"'
    texts = [f"{value:.0f}" for value in values.to_pylist()]
    for form, digits in _FORMATS.items():
        parsed = _parsed(pa.array(texts), form)
        if {*map(len, texts)} == {digits} and _likely(parsed.to_numpy(zero_copy_only=False)).all():
            return f'format = "{form}"'
    return None


def unlikely(typed: Typed) -> int:
    """Returns how many times are before 1990 or in the future, where others are not."""
    seconds = typed.values.drop_null().to_numpy()
    likely = int(_likely(seconds).sum())
    return len(seconds) - likely if likely else 0


def _likely(seconds: np.ndarray) -> np.ndarray:
    return (seconds >= _YEAR_1990) & (seconds <= time.time() + _A_YEAR)


def _of_times(raw: pa.Array) -> Typed:
    """Converts times and dates of Parquet."""
    if pa.types.is_date(raw.type):
        per_day = 86_400_000 if pa.types.is_date64(raw.type) else 1
        whole = raw.cast(pa.int64() if per_day > 1 else pa.int32()).cast(pa.int64())
        return sound(pc.multiply(_floor(whole, per_day), 86_400))
    if not pa.types.is_timestamp(raw.type):  # a time of day, or a duration
        return Typed(pa.nulls(len(raw), pa.int64()), raw.is_valid().to_numpy(zero_copy_only=False))
    return sound(_floor(raw.cast(pa.int64()), _PER_SECOND[raw.type.unit]))


def _of_texts(raw: pa.Array, form: str) -> Typed:
    values = _parsed(_as_text(raw), form)
    broken = pc.and_(values.is_null(), raw.is_valid())
    return Typed(values, broken.to_numpy(zero_copy_only=False))


def _of_numbers(raw: pa.Array, factor: int) -> Typed:
    whole = whole_numbers(raw)
    if not whole.broken.any():
        return sound(_floor(whole.values, factor))
    typed = numbers(raw)
    seconds = pc.floor(pc.divide(typed.values, float(factor)))
    typed = refused(Typed(seconds, typed.broken), pc.greater_equal(pc.abs(seconds), 2.0**53))
    return typed._replace(values=typed.values.cast(pa.int64()))


def _parsed(texts: pa.Array, form: str) -> pa.Array:
    """Returns unix seconds; null where a text is not a time."""
    if not form:
        texts = null_where(texts, pc.invert(pc.match_substring_regex(texts, _ISO_DAY)))
        texts = pc.replace_substring_regex(texts, r" (UTC|GMT)$", "Z")
        texts = pc.replace_substring_regex(texts, r"(:\d\d),(\d)", r"\1.\2")  # pandas knows fractions after a point only
    texts = _with_zeros(texts, form)
    moments = pd.to_datetime(texts.to_pandas(), format=form or "ISO8601", utc=True, errors="coerce").dt.tz_localize(None)
    return _floor(pa.array(moments.astype("datetime64[ns]"), pa.timestamp("ns"), from_pandas=True).cast(pa.int64()), 10**9)


def _with_zeros(texts: pa.Array, form: str) -> pa.Array:
    """Returns numbers such as 905 for %H%M with the zeros that they have lost at the beginning: 0905; and 905.0 is 905."""
    if not _CODES_OF_FIGURES.fullmatch(form):
        return texts
    texts = pc.replace_substring_regex(texts, r"\.0*$", "")
    return pc.utf8_lpad(texts, len(form) + 2 * form.count("Y"), "0")  # two figures for a code of two characters, four for a year


def _as_text(raw: pa.Array) -> pa.Array:
    """Returns numbers and times as texts; whole numbers without a fraction."""
    if pa.types.is_floating(raw.type):
        raw = pa.array([None if value is None else _digits(value) for value in raw.to_pylist()], pa.string())
    return raw.cast(pa.string())


def _digits(value: float) -> str:
    return str(to_int(value)) if value.is_integer() else str(value)


def _floor(values: pa.Array, factor: int) -> pa.Array:
    """Divides and rounds down, also below 0."""
    filled = values.fill_null(0).to_numpy() // factor
    return pa.array(filled, pa.int64(), mask=values.is_null().to_numpy(zero_copy_only=False))
