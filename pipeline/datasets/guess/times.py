"""Guesses how times are written: unix time in a unit, ISO 8601, or a format of strptime. Only years that are usual count."""

import re
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

import pyarrow as pa
from pandas.tseries.api import guess_datetime_format

from pipeline.datasets.guess.column import Column
from pipeline.datasets.importing.usual_ranges import FIRST_YEAR, utc
from pipeline.datasets.sources.clicklog.mapping import TimestampMapping, Unit
from pipeline.datasets.sources.clicklog.times import to_seconds

_UNITS: dict[Unit, str] = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_FIGURES = {8: ("%Y%m%d", "%y%m%d%H"), 10: ("%Y%m%d%H",), 12: ("%Y%m%d%H%M",), 14: ("%Y%m%d%H%M%S",)}  # by how many figures
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")
_YEAR_DAY_MONTH = re.compile("%Y.%d.%m")  # nobody writes so
_MONTH_FIRST, _DAY_FIRST = "the month before the day", "the day before the month"
_OTHER_FORMATS = {  # which pandas does not guess of each text, or never
    "%m/%d/%Y %I:%M %p": _MONTH_FIRST,
    "%m/%d/%Y %I:%M:%S %p": _MONTH_FIRST,
    "%d/%m/%Y %I:%M %p": _DAY_FIRST,
    "%m/%d/%y %H:%M": _MONTH_FIRST,
    "%d/%m/%y %H:%M": _DAY_FIRST,
    "%d/%b/%Y:%H:%M:%S %z": _DAY_FIRST,
    "%a %b %d %H:%M:%S %z %Y": _MONTH_FIRST,
}
_DAY = 86_400
_MOST_DAYS = 31  # different numbers of a column may be days or hours; more may be a clock
_MOST_SECONDS = 4e9  # greater numbers are beyond 2100
_TEXTS_TRIED = 20  # pandas does not know the format of every text: not that of 12:00:00 AM
_MOST_MISFITS = 0.01  # of the values


class TimeForm(NamedTuple):
    """How the times of a column are written.

    Attributes:
        unit: "s", "ms", "us", "ns" or "iso"; "" where `format` says it, or where Parquet says it.
        format: As strptime has it; "": by `unit`.
        seconds: The times of all rows, in unix seconds; None where there is none, or one of an unusual year.
        reason: What the times say, in words.
    """

    unit: str
    format: str
    seconds: list[int | None]
    reason: str

    @property
    def is_day(self) -> bool:
        """Whether all times are midnight."""
        return not any(second and second % _DAY for second in self.seconds)


def guess_time(column: Column) -> TimeForm | None:
    """Returns how a column's times are written; None where its values are no times, or none of usual years."""
    if column.is_moment:
        return _form(column, TimestampMapping(), "times of Parquet")
    return next(_forms(column), None) if column.texts else None


def guess_counter(column: Column) -> TimeForm | None:
    """Returns numbers as seconds or milliseconds since an unknown moment; None where they are few, or not numbers from 0 up."""
    if column.numbers is None or min(column.numbers) < 0 or len(column.different) <= _MOST_DAYS:
        return None
    low, high = min(column.numbers), max(column.numbers)
    unit: Unit = "s" if high < _MOST_SECONDS else "ms"
    words = f"numbers from {low:.10g} to {high:.10g}, which are no dates: taken for {_UNITS[unit]} since an unknown moment"
    return TimeForm(unit, "", to_seconds(pa.array(column.cells), TimestampMapping(unit=unit)).values.to_pylist(), words)


def clock_format(column: Column) -> str | None:
    """Returns the format of a column that holds times of day only; None where it does not."""
    if not column.texts or not all(map(_CLOCK.fullmatch, column.different)):
        return None
    return "%H:%M:%S" if column.texts[0].count(":") == 2 else "%H:%M"


def _forms(column: Column) -> Iterator[TimeForm]:
    for form, words in _candidates(column):
        if found := _form(column, form, words):
            yield found


def _candidates(column: Column) -> Iterator[tuple[TimestampMapping, str]]:
    """Yields the forms that the texts may have, and what each one says, the most likely ones first."""
    lengths = set(map(len, column.different))
    if column.numbers is not None:
        yield from ((TimestampMapping(unit=unit), f"unix {words}") for unit, words in _UNITS.items())
        if column.is_whole and len(lengths) == 1:
            yield from ((TimestampMapping(format=form), "figures of a date") for form in _FIGURES.get(lengths.pop(), ()))
        return
    yield TimestampMapping(unit="iso"), "ISO 8601"
    yield from _formatted(column)


def _form(column: Column, form: TimestampMapping, words: str) -> TimeForm | None:
    """Returns a form where nearly all times are of usual years, as the import reads them."""
    low, high = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (FIRST_YEAR, datetime.now(UTC).year + 2))
    found = to_seconds(pa.array(column.cells), form).values.to_pylist()
    seconds = [second if second is not None and low <= second < high else None for second in found]
    usual = [second for second in seconds if second is not None]
    size = len(column.cells) - column.cells.count(None)
    misfits = size - len(usual)
    if not usual or misfits > _MOST_MISFITS * size:
        return None
    doubt = f"; {misfits} values do not fit" if misfits else ""
    unit = form.unit if "unit" in form.model_fields_set else ""
    return TimeForm(unit, form.format, seconds, f"{words}, from {utc(min(usual))} to {utc(max(usual))} UTC{doubt}")


def _formatted(column: Column) -> Iterator[tuple[TimestampMapping, str]]:
    """Yields the formats that fit: those that pandas guesses of the first texts, with the month first and with the day first, or others."""
    orders = ((True, _DAY_FIRST), (False, _MONTH_FIRST)) if "." in column.texts[0] else ((False, _MONTH_FIRST), (True, _DAY_FIRST))
    fitting: dict[str, str] = {}
    for day_first, words in orders:
        guesses = (_pandas_guess(text, day_first) for text in islice(column.different, _TEXTS_TRIED))
        form = next(filter(None, guesses), None)
        if form and _form(column, TimestampMapping(format=form), ""):
            fitting.setdefault(form, words)
    fitting = fitting or {form: words for form, words in _OTHER_FORMATS.items() if _form(column, TimestampMapping(format=form), "")}
    for form, words in fitting.items():
        others = "".join(f" ({other} fits as well)" for other in fitting if other != form)
        yield TimestampMapping(format=form), f"the format fits, {words}{others}"


def _pandas_guess(text: str, day_first: bool) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a text has the month first although the day was asked for
        form = guess_datetime_format(text, dayfirst=day_first)
    return None if form is None or "%d" not in form or _YEAR_DAY_MONTH.match(form) else form
