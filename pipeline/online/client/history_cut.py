"""Leaves out the events of a history that the model does not read, so that all requests have one width."""

from collections.abc import Sequence
from typing import Any

from components.serving.model.impression_tensors import Impression, Input


def most_recent(row: Impression, inputs: Sequence[Input], length: int) -> Impression:
    """Returns an impression with the last `length` events of its histories.

    Lists of one sequence have the same number of events. If a history of ids has padding (-1, "", None or NaN) among its last events, then
    it stays as it is, and so do the lists of its length: the model does not count padding. Other fields of events may miss values.
    """
    uses = {read.column.name: read.use for read in inputs if read.column.presence == "sequence"}
    long = {name: row[name] for name in uses if isinstance(row.get(name), list) and len(row[name]) > length}
    padded = {len(events) for name, events in long.items() if uses[name] == "event" and any(map(_is_padding, events[-length:]))}
    return {**row, **{name: events[-length:] for name, events in long.items() if len(events) not in padded}}


def _is_padding(event: Any) -> bool:
    return event in (-1, "", b"", None) or event != event
