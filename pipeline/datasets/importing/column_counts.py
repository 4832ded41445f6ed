"""Counts what can be wrong with the values of a source without being refused: missing values, texts such as NA, blanks at the ends."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.event_fields import list_lengths
from pipeline.datasets.sources.interactions import CANDIDATE, EVENT, HISTORICAL, ITEM, LABEL, SPLIT, TIMESTAMP

MISSING_WORDS = ("NA", "N/A", "#N/A", "<NA>", "NULL", "(null)", "nan", "none", "nil", "undefined", r"\N", "-1", "?", "-")
_MARKERS = pa.array(
    sorted({form.encode() for word in MISSING_WORDS for form in (word, word.lower(), word.upper(), word.title(), "NaN")}), pa.binary()
)
_UNKNOWN = b"(unknown)"
_BLANK_ENDS = r"^\s|\s$"
_ROUNDED = r"^[0-9]\.[0-9]+E\+[0-9]+$"


@dataclass
class ColumnCounts:
    """Counts over the rows that a source has given. The memory that it needs does not grow with the rows.

    Attributes:
        rows: How many rows there were.
        missing: Feature -> rows without a value.
        unknown: Further field of the candidate -> rows where the source knows no value, which it writes as "(unknown)".
        blank_ends: Feature -> values that begin or end with a blank.
        rounded: Feature -> values such as 1.23E+15, which Excel makes of long numbers.
        markers: (feature, text) -> values that are a text, or the number -1, which often means that there is no value.
    """

    rows: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    blank_ends: Counter[str] = field(default_factory=Counter)
    rounded: Counter[str] = field(default_factory=Counter)
    markers: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, batch: pa.RecordBatch) -> None:
        """Counts the values of some rows."""
        self.rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name not in (LABEL, TIMESTAMP, SPLIT):
                self._add_column(name, column)

    def _add_column(self, name: str, column: pa.Array) -> None:
        if name.startswith(EVENT):
            name = HISTORICAL + name.removeprefix(EVENT)
        if pa.types.is_nested(column.type):
            self.missing[name] += 0 if name.startswith(HISTORICAL) else int((list_lengths(column) == 0).sum())
            column = column.flatten()
        else:
            self.missing[name] += column.null_count
        if pa.types.is_integer(column.type):
            self.markers[name, "-1"] += pc.sum(pc.equal(column, -1)).as_py() or 0
        if pa.types.is_binary(column.type):
            self._add_texts(name, column)

    def _add_texts(self, name: str, column: pa.Array) -> None:
        found = column.filter(pc.is_in(column, _MARKERS))
        for entry in pc.value_counts(found).to_pylist():
            self.markers[name, entry["values"].decode()] += entry["counts"]
        for counts, pattern in ((self.blank_ends, _BLANK_ENDS), (self.rounded, _ROUNDED)):
            counts[name] += pc.sum(pc.match_substring_regex(column, pattern)).as_py() or 0
        if name.startswith(CANDIDATE) and name != ITEM:
            self.unknown[name] += pc.sum(pc.equal(column, _UNKNOWN)).as_py() or 0


def value_report(counts: Iterable[ColumnCounts]) -> dict[str, Any]:
    """Returns the sum of counts for the manifest: shares of rows for what is missing and unknown, numbers of values for the rest."""
    every = list(counts)
    rows = sum(each.rows for each in every)
    missing, unknown = (_sum(getattr(each, name) for each in every) for name in ("missing", "unknown"))
    markers = _sum(each.markers for each in every)
    return {
        "missing": {name: count / rows for name, count in missing.items()},
        "unknown": {name: count / rows for name, count in unknown.items()},
        "blank_ends": dict(_sum(each.blank_ends for each in every)),
        "rounded": dict(_sum(each.rounded for each in every)),
        "missing_markers": [{"feature": name, "text": text, "count": count} for (name, text), count in sorted(markers.items())],
    }


def _sum(counters: Iterable[Counter[Any]]) -> Counter[Any]:
    """Adds counters, and leaves out what was not found."""
    total: Counter[Any] = Counter()
    for counter in counters:
        total.update(counter)
    return +total
