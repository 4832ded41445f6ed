"""Reads the labels that came after the requests: a table with request ids, and what was clicked of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from components.base.errors import InputError
from pipeline.datasets.sources.broken_rows import sound_rows
from pipeline.datasets.sources.interactions import ITEM, LABEL, REQUEST, TIMESTAMP, Tally
from pipeline.datasets.tables.raw_rows import RawRows
from pipeline.datasets.tables.read_table import column_names, read_table
from pipeline.datasets.tables.typed_values import Typed, id_texts, refused, shown, whole_numbers

_Converted = tuple[Callable[[pa.Array], Typed], str]

_ID: _Converted = (id_texts, "an id")
_ZERO_OR_ONE: _Converted = (partial(whole_numbers, low=0), "0 or 1")
_TIME: _Converted = (partial(whole_numbers, low=0), "a time in unix seconds")

Key = tuple[bytes, bytes]  # request, item; the item is empty where the table has none


@dataclass
class LaterLabels:
    """The labels, in memory.

    Attributes:
        file: Where they are from.
        names_items: Whether they say which candidate of a request was clicked.
        by_key: The labels of each candidate, as bits: the first label is bit 0. Of several rows, a 1 counts.
        until: The latest time; None if the table has no times.
    """

    file: Path
    names_items: bool
    by_key: dict[Key, int] = field(default_factory=dict)
    until: int | None = None

    def key(self, request: bytes, item: bytes) -> Key:
        """Returns the key of a candidate of a request."""
        return request, item if self.names_items else b""


def read_labels(file: Path, tally: Tally, names_of_labels: Sequence[str] = (LABEL,)) -> LaterLabels:
    """Reads a table in CSV, JSON lines or Parquet with the columns request_id, candidate_item_id, label, further labels and timestamp.

    Without label each row is a click; without candidate_item_id each request has one candidate.

    Args:
        file: The table.
        tally: Counts broken rows.
        names_of_labels: All labels. The first may be in a column of its own name instead of `label`; each further one needs its column.

    Raises:
        InputError: It cannot be read, has no request_id or no column of a further label, or has a broken row, and such rows are not
            skipped.
    """
    first, *further = names_of_labels
    names = column_names(file)
    if REQUEST not in names:
        raise InputError(f"{file} has no column {REQUEST}, by which labels are joined to requests: rename the column that holds it.")
    if missing := [name for name in further if name not in names]:
        raise InputError(f"{file} has no column {missing[0]}, which is one of features.labels: add it, with 0 or 1, or remove the label.")
    columns_of_labels = [LABEL if LABEL in names else first, *further]
    known = {REQUEST: _ID, ITEM: _ID, **dict.fromkeys(columns_of_labels, _ZERO_OR_ONE), TIMESTAMP: _TIME}
    columns = {name: converted for name, converted in known.items() if name in names}
    labels = LaterLabels(file, ITEM in columns)
    for rows in read_table(file, list(columns)):
        found = _typed(file, rows, columns, tally)
        count = len(found[REQUEST])
        items, given = found.get(ITEM, [b""] * count), [found.get(name, [1] * count) for name in columns_of_labels]
        for request, item, *values in zip(found[REQUEST], items, *given, strict=True):
            bits = sum(value << place for place, value in enumerate(values))
            labels.by_key[request, item] = bits | labels.by_key.get((request, item), 0)
        times = [time for time in found.get(TIMESTAMP, []) if time is not None]
        labels.until = max([*times, *([] if labels.until is None else [labels.until])], default=None)
    return labels


def _typed(file: Path, rows: RawRows, columns: Mapping[str, _Converted], tally: Tally) -> dict[str, list]:
    """Returns the values of sound rows by column."""
    typed, faults = {}, []
    for name, (convert, expected) in columns.items():
        raw = rows.columns.column(name)
        found = convert(raw)
        if columns[name] == _ZERO_OR_ONE:
            found = refused(found, pc.greater(found.values, 1))
        broken = found.broken if name == TIMESTAMP else found.broken | found.values.is_null().to_numpy(zero_copy_only=False)
        typed[name] = found.values
        faults.append((broken, partial(_fault, name, raw, expected)))
    kept = pa.array(sound_rows(file, rows, faults, tally))
    return {name: values.filter(kept).to_pylist() for name, values in typed.items()}


def _fault(name: str, raw: pa.Array, expected: str, place: int) -> str:
    return f"{name} is {shown(raw, place)}, but must be {expected}"
