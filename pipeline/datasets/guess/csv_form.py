"""Guesses how a text table is written: the separator, quotes, escapes, and whether the first row is a header."""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.datasets.guess.draft import quoted

_SEPARATORS = ("\t", ",", ";", "|", "::", "\x01", "^", " ")
_QUOTING = (('"', ""), ('"', "\\"), ("", ""))  # quote and escape
_LINES = 500  # of the file, by which forms are compared
_LEAST_ALIKE = 0.9  # of the rows have the same number of values
_NUMBER = set("0123456789.+-eE")


class CsvForm(NamedTuple):
    """How the rows of a text are written.

    Attributes:
        separator: Between values.
        quote: Around values; "": none.
        escape: Before a quote in a value; "": none.
        width: How many values a row has.
        alike: Share of the rows that have so many.
    """

    separator: str
    quote: str
    escape: str
    width: int
    alike: float


def guess_csv_form(text: str) -> CsvForm | None:
    """Returns the form by which the most rows have the same number of values, two or more; None where there is no such form.

    Args:
        text: Whole lines.
    """
    lines = text.splitlines(keepends=True)[:_LINES]
    forms = [form for separator in _SEPARATORS for quote, escape in _QUOTING if (form := _form(lines, separator, quote, escape))]
    good = [form for form in forms if form.alike >= _LEAST_ALIKE and form.width > 1]
    return max(good, key=lambda form: _rank(form, lines)) if good else None


def _form(lines: Sequence[str], separator: str, quote: str, escape: str) -> CsvForm | None:
    if not any(separator in line for line in lines) or (escape and not any(f"{escape}{quote}" in line for line in lines)):
        return None
    rows = split_rows(lines, separator, quote, escape)
    widths = Counter(map(len, rows))
    if not widths:
        return None
    width, count = widths.most_common(1)[0]
    return CsvForm(separator, quote, escape, width, count / len(rows))


def _rank(form: CsvForm, lines: Sequence[str]) -> tuple[float, ...]:
    """A form is better the more rows are alike; then quotes that enclose values count, then escapes, then the width."""
    encloses = _encloses(lines, form) if form.quote else not _encloses(lines, form._replace(quote='"'))
    return form.alike, encloses, form.separator != " ", bool(form.escape), form.width


def _encloses(lines: Sequence[str], form: CsvForm) -> bool:
    """Whether quotes stand where values begin and end: as often at the one end as at the other."""
    edges = [f"{form.separator}{line.rstrip(chr(10) + chr(13))}{form.separator}" for line in lines]
    begins = sum(line.count(form.separator + form.quote) for line in edges)
    ends = sum(line.count(form.quote + form.separator) for line in edges)
    return begins == ends


def split_rows(lines: Sequence[str], separator: str, quote: str, escape: str = "") -> list[list[str]]:
    """Splits lines into rows of values; blank lines are left out."""
    if len(separator) > 1:
        return [line.rstrip("\r\n").split(separator) for line in lines if line.strip()]
    try:
        if quote:
            rows = list(csv.reader(lines, delimiter=separator, quotechar=quote, escapechar=escape or None))
        else:
            rows = list(csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE))
    except csv.Error:
        return []
    return [row for row in rows if row]


def has_header(rows: Sequence[Sequence[str]], known: Sequence[str]) -> tuple[bool, str]:
    """Whether the first of some rows has the names of the columns, and why.

    Args:
        rows: The first rows.
        known: The values of the first row that are usual names of columns.
    """
    first, others = rows[0], rows[1:]
    while first and not any(row[len(first) - 1 : len(first)] not in ([], [""]) for row in rows):  # each row ends with a separator
        first = first[:-1]
    if len(first) > 1 and list(first) == [str(place) for place in range(len(first))]:
        return True, "the first row counts the columns from 0, as pandas does where they have no names"
    if any(map(is_number, first)):
        return False, "the first row holds a number"
    if (len(set(first)) < len(first) or "" in first[1:]) and len(set(known)) <= 1:
        return False, "a value of the first row is empty or there twice"
    repeated = [value for place, value in enumerate(first) if any(row[place : place + 1] == [value] for row in others)]
    if len(repeated) > len(known):
        return False, f"values of the first row are in later rows too, such as {quoted(repeated[0])}"
    if known:
        return True, f"the first row names {', '.join(map(quoted, known))}"
    if any(all(is_number(row[place]) for row in others if len(row) > place) for place in range(len(first)) if others):
        return True, "a column holds text in the first row and numbers below"
    return True, "no value of the first row is in a later row; if the first row is data, set header = false"


def is_number(text: str) -> bool:
    """Whether a text is a number in decimal figures, and not too large for one."""
    try:
        return math.isfinite(float(text)) and set(text.strip()) <= _NUMBER
    except ValueError:
        return False
