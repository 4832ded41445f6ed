"""Guesses how times are written: unix time in a unit, ISO 8601, or a format of strptime. Only years that are usual count."""

import math
import re
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import islice
from typing import NamedTuple

from pandas.tseries.api import guess_datetime_format

from pipeline.datasets.guess.column import Column
from pipeline.datasets.importing.usual_ranges import FIRST_YEAR, utc

_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_UNIT_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_FIGURES = {8: ("%Y%m%d", "%y%m%d%H"), 10: ("%Y%m%d%H",), 12: ("%Y%m%d%H%M",), 14: ("%Y%m%d%H%M%S",)}  # by how many figures
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")
_YEAR_DAY_MONTH = re.compile("%Y.%d.%m")  # nobody writes so
_MONTH_FIRST, _DAY_FIRST = "the month before the day", "the day before the month"
_DAY = 86_400
_TEXTS_TRIED = 20  # pandas does not know the format of every text: not that of 12:00:00 AM
_MOST_MISFITS = 0.01  # of the values


class TimeForm(NamedTuple):
    """How the times of a column are written.

    Attributes:
        unit: "s", "ms", "us", "ns" or "iso"; "" where `format` says it, or where Parquet says it.
        format: As strptime has it; "": by `unit`.
        seconds: The times, in unix seconds.
        reason: What the times say, in words.
    """

    unit: str
    format: str
    seconds: list[float]
    reason: str

    @property
    def is_day(self) -> bool:
        """Whether all times are midnight."""
        return not any(second % _DAY for second in self.seconds)


def guess_time(column: Column) -> TimeForm | None:
    """Returns how a column's times are written; None where its values are no times, or none of usual years."""
    if column.is_moment:
        return _form("", "", [_seconds(value) for value in column.present], "times of Parquet")
    if not column.texts:
        return None
    return _unix_time(column) or _figures(column) or _iso(column) or _formatted(column)


def clock_format(column: Column) -> str | None:
    """Returns the format of a column that holds times of day only; None where it does not."""
    if not column.texts or not all(map(_CLOCK.fullmatch, column.different)):
        return None
    return "%H:%M:%S" if column.texts[0].count(":") == 2 else "%H:%M"


def _form(unit: str, form: str, seconds: list[float], words: str) -> TimeForm | None:
    """Returns a form where nearly all times are of usual years; NaN stands for a text that does not fit."""
    low, high = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (FIRST_YEAR, datetime.now(UTC).year + 2))
    usual = [second for second in seconds if low <= second < high]
    misfits = len(seconds) - len(usual)
    if not usual or misfits > _MOST_MISFITS * len(seconds):
        return None
    doubt = f"; {misfits} values do not fit" if misfits else ""
    return TimeForm(unit, form, usual, f"{words}, from {utc(int(min(usual)))} to {utc(int(max(usual)))} UTC{doubt}")


def _unix_time(column: Column) -> TimeForm | None:
    if column.numbers is None:
        return None
    forms = (_form(unit, "", [n / size for n in column.numbers or []], f"unix {_UNIT_WORDS[unit]}") for unit, size in _UNITS.items())
    return next((form for form in forms if form), None)


def _figures(column: Column) -> TimeForm | None:
    """Days and hours as figures without a sign between them, such as 20200705."""
    lengths = set(map(len, column.different))
    if not column.is_whole or len(lengths) != 1:
        return None
    forms = (_form("", form, _parsed(column, _by_format(form)), "figures of a date") for form in _FIGURES.get(lengths.pop(), ()))
    return next((form for form in forms if form), None)


def _iso(column: Column) -> TimeForm | None:
    return None if column.numbers else _form("iso", "", _parsed(column, datetime.fromisoformat), "ISO 8601")


def _formatted(column: Column) -> TimeForm | None:
    """Tries the formats that pandas guesses of the first texts, with the month first and with the day first."""
    orders = ((True, _DAY_FIRST), (False, _MONTH_FIRST)) if "." in column.texts[0] else ((False, _MONTH_FIRST), (True, _DAY_FIRST))
    found: dict[str, TimeForm] = {}
    for day_first, words in orders:
        guesses = (_pandas_guess(text, day_first) for text in islice(column.different, _TEXTS_TRIED))
        form = next(filter(None, guesses), None)
        if form and (known := _form("", form, _parsed(column, _by_format(form)), f"the format fits, {words}")):
            found.setdefault(form, known)
    if not found:
        return None
    (form, known), *others = found.items()
    return known._replace(reason=f"{known.reason}; {others[0][0]} fits as well") if others else known


def _pandas_guess(text: str, day_first: bool) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a text has the month first although the day was asked for
        form = guess_datetime_format(text, dayfirst=day_first)
    return None if form is None or _YEAR_DAY_MONTH.match(form) else form


def _by_format(form: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, form)


def _parsed(column: Column, parse: Callable[[str], datetime]) -> list[float]:
    """Returns unix seconds; NaN where a text does not fit."""
    known = {text: _parse(text, parse) for text in column.different}
    return [known[text] for text in column.texts]


def _parse(text: str, parse: Callable[[str], datetime]) -> float:
    try:
        return _seconds(parse(text))
    except (ValueError, OverflowError):
        return math.nan


def _seconds(moment: date) -> float:
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
