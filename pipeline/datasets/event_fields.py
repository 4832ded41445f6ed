"""How the fields of the events of histories stand in a data set: flat lists, one event after the other.

A number or an id is one value for each event. A vector is its numbers. Tags are their values, and a second list says how many each event
has.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.layout import list_column
from pipeline.datasets.sample_rows import LENGTHS


def event_columns(name: str, events: pa.Array, offsets: np.ndarray) -> dict[str, pa.Array]:
    """Returns the columns of a field of events.

    Args:
        name: The history.
        events: (E,) the value of each event: a single one, a list of tags, a list of their weights (floats), or a vector (a list of fixed
            size). A missing value becomes -1, "" or NaN, and a missing vector NaN throughout.
        offsets: (N + 1,) row i has the events `offsets[i]` to `offsets[i + 1]`.

    Returns:
        The history; and for tags also `<name>_lengths`.
    """
    kind = events.type
    if pa.types.is_fixed_size_list(kind):
        numbers = np.full((len(events), kind.list_size), np.nan, np.float32)
        there = events.is_valid().to_numpy(zero_copy_only=False)
        numbers[there] = events.flatten().fill_null(np.nan).to_numpy().reshape(-1, kind.list_size)
        return {name: list_column(numbers.ravel(), offsets * kind.list_size)}
    if not pa.types.is_list(kind):
        return {name: list_column(events.fill_null(_missing(kind)) if events.null_count else events, offsets)}
    lengths = list_lengths(events)
    ends = np.concatenate(([0], np.cumsum(lengths)))
    found = {name: list_column(events.flatten(), ends[offsets])}
    return found if pa.types.is_floating(kind.value_type) else {**found, name + LENGTHS: list_column(lengths, offsets)}


def history_fields(name: str, kind: pa.DataType) -> list[pa.Field]:
    """Returns the columns that `event_columns` makes of events of a type, as lists."""
    if not pa.types.is_nested(kind):
        return [pa.field(name, pa.list_(kind))]
    found = [pa.field(name, pa.list_(kind.value_type))]
    is_tags = pa.types.is_list(kind) and not pa.types.is_floating(kind.value_type)
    return [*found, pa.field(name + LENGTHS, pa.list_(pa.int64()))] if is_tags else found


def list_lengths(lists: pa.Array) -> np.ndarray:
    """Returns how many values each list has, (N,) int64; 0 where there is none."""
    return pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)


def _missing(kind: pa.DataType) -> Any:
    if pa.types.is_floating(kind):
        return float("nan")
    return -1 if pa.types.is_integer(kind) else b""
