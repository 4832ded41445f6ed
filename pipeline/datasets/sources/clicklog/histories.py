"""Reads the histories that a log has. Events without a value are dropped, in all lists of a row that go together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.datasets.event_fields import event_columns
from pipeline.datasets.sources.clicklog.fields import UNKNOWN, Field
from pipeline.datasets.sources.clicklog.list_cells import to_lists
from pipeline.datasets.sources.clicklog.list_field import ListField, without_missing_tags
from pipeline.datasets.sources.interactions import HISTORICAL_ITEMS, Tally
from pipeline.datasets.tables.typed_values import Typed, shown


@dataclass(frozen=True)
class HistoryField:
    """A column of lists.

    Attributes:
        element: How an element is read: what each event has, which may be several values.
        separator: Between the elements of a text; "": the log has lists.
    """

    element: Field | ListField
    separator: str

    @property
    def name(self) -> str:
        return self.element.name

    @property
    def column(self) -> str:
        return self.element.column

    def fault(self, raw: pa.Array, place: int) -> str:
        """Says what is wrong with the raw value at a place."""
        separated = f" separated by {self.separator!r}" if self.separator else ""
        return f"{self.column} is {shown(raw, place)}, but must be a list{separated} ({self.element.expected} each)"


class _History(NamedTuple):
    """A list of each of N rows.

    Attributes:
        sizes: (N,) how many events each has.
        events: (E,) the typed events, one list after the other.
        broken: (N,) bool: whether the cell is not a list, or has an event that is not legal.
    """

    sizes: np.ndarray
    events: pa.Array
    broken: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """(E,) the row of each event."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @property
    def missing(self) -> np.ndarray:
        """(E,) bool: which events have no value."""
        return self.events.is_null().to_numpy(zero_copy_only=False)


def typed_histories(fields: Sequence[HistoryField], columns: Mapping[str, pa.Array], tally: Tally) -> dict[str, Typed]:
    """Returns the lists by feature, without events that have no value; `tally` notes how many these are.

    A list that is as long as the one of the items tells about its events: it loses those whose item is missing, and no others. What else is
    missing there is "(unknown)" if it is bytes, NaN if it is a number or a vector, and a fault if it is a whole number. Each other list is
    on its own.

    Args:
        fields: The columns of lists.
        columns: Their raw values, by the name of the column in the log.
        tally: Notes what is dropped.
    """
    histories = {field.name: _read(field, columns[field.column], tally) for field in fields}
    typed: dict[str, Typed] = {}
    for field in fields:
        name, history = field.name, histories[field.name]
        dropped = history.missing
        if name != HISTORICAL_ITEMS and HISTORICAL_ITEMS in histories:
            dropped, history = _beside(history, histories[HISTORICAL_ITEMS])
        tally.note(f"events of {field.column} have no value and are left out", int((dropped & ~history.broken[history.rows]).sum()))
        sizes = history.sizes - np.bincount(history.rows[dropped], minlength=len(history.sizes))
        events = history.events.filter(pa.array(~dropped))
        columns = event_columns(name, events, np.concatenate(([0], np.cumsum(sizes))))
        typed |= {column: Typed(lists, history.broken) for column, lists in columns.items()}
    return typed


def _read(field: HistoryField, raw: pa.Array, tally: Tally) -> _History:
    lists = to_lists(raw, field.separator, field.column, tally)
    events = field.element.typed(lists.elements, tally)
    events = without_missing_tags([field.element], {field.name: events}, tally).get(field.name, events)
    history = _History(lists.sizes, events.values, lists.broken)
    history.broken[history.rows[events.broken]] = True
    return history


def _beside(history: _History, items: _History) -> tuple[np.ndarray, _History]:
    """Returns which events of a history are dropped, (E,) bool, and the history with values for the others that have none."""
    same_size = history.sizes == items.sizes
    of_items = same_size[history.rows]
    dropped = history.missing
    dropped[of_items] = items.missing[same_size[items.rows]]
    unknown = history.missing & ~dropped
    if not unknown.any():
        return dropped, history
    if pa.types.is_binary(history.events.type):
        return dropped, history._replace(events=history.events.fill_null(UNKNOWN))
    if not pa.types.is_integer(history.events.type):  # NaN
        return dropped, history
    broken = history.broken.copy()
    broken[history.rows[unknown]] = True
    return dropped, history._replace(broken=broken)
