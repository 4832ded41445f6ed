"""Leaves out the events of a history that the model does not read, so that all requests have one width."""

from collections.abc import Collection
from typing import Any

from components.serving.model.impression_tensors import Impression


def most_recent(row: Impression, histories: Collection[str], length: int) -> Impression:
    """Returns an impression with the last `length` events of its histories.

    Histories of one sequence have the same number of events. If a history has padding (-1, "", None or NaN) among its last events, then it
    stays as it is, and so do the histories of its length: the model does not count padding.
    """
    long = {name: row[name] for name in histories if isinstance(row.get(name), list) and len(row[name]) > length}
    padded = {len(events) for events in long.values() if any(map(_is_padding, events[-length:]))}
    return {**row, **{name: events[-length:] for name, events in long.items() if len(events) not in padded}}


def _is_padding(event: Any) -> bool:
    return event in (-1, "", b"", None) or event != event
