"""Writes impressions as JSON objects in the form that `din predict` takes: a field of events has one element for each event.

A data set has flat lists, and no configuration says here which of them belong together. Their names and lengths do: tags of events have a
twin with `_lengths` behind its name, or one that the schema names (`lengths_named`); their weights have as many values as they, and vectors
have a multiple of the number of events.
"""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_HISTORICAL = "historical_"
LENGTHS = "_lengths"  # behind the name of a history of tags: how many each event has

_TWIN = b"lengths"  # metadata of a history of tags, where the twin has another name

Nested = dict[str, str | int]  # by list: the twin with the lengths, or the size of its vectors


def to_json_rows(batch: pa.RecordBatch, scalars: set[str], nested: Nested | None = None) -> list[dict[str, Any]]:
    """Returns rows as JSON objects: features in `scalars` as plain values, others as lists, bytes as text, without missing scalars.

    NaN counts as missing, since JSON has no such number: in a list it is null.

    Args:
        batch: Columns of lists.
        scalars: Features that have one value at most.
        nested: Lists that become a list for each event, as `nested_lists` returns it.
    """
    return [_json_row(row, scalars, nested or {}) for row in batch.to_pylist()]


def _json_row(row: dict[str, list[Any] | None], scalars: set[str], nested: Nested) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in row.items():
        plain = [_plain(value) for value in values or []]
        if name in scalars:
            found |= {name: plain[0]} if plain and plain[0] is not None else {}
        elif isinstance(twin := nested.get(name), str):
            found[name] = _split(plain, row[twin] or [])
        elif isinstance(twin, int):
            found[name] = [None if set(vector) == {None} else vector for vector in _split(plain, [twin] * (len(plain) // twin))]
        elif name not in nested.values():
            found[name] = plain
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return None if isinstance(value, float) and math.isnan(value) else value


def _split(values: list[Any], lengths: list[int]) -> list[list[Any]]:
    ends = np.cumsum(lengths, dtype=int).tolist()
    return [values[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def lengths_named(name: str) -> dict[bytes, bytes]:
    """Returns the metadata of a history of tags whose lengths are in the column `name`."""
    return {_TWIN: name.encode()}


def nested_lists(batch: pa.RecordBatch) -> Nested:
    """Returns which histories have several values for each event, judged by all rows of a batch."""
    counts = {name: pc.fill_null(pc.list_value_length(batch.column(name)), 0).to_numpy() for name in batch.schema.names}
    named = {field.name: (field.metadata or {}).get(_TWIN, b"").decode() or field.name + LENGTHS for field in batch.schema}
    result: Nested = {name: twin for name, twin in named.items() if twin in counts}
    tags, numbers = dict(result), {name for name in counts if pa.types.is_floating(batch.schema.field(name).type.value_type)}
    histories = [name for name in counts if name.startswith(_HISTORICAL) and name not in tags]
    events = [counts[name] for name in histories if name not in numbers]
    for name in (name for name in histories if name in numbers):
        if any(np.array_equal(counts[name], other) for other in events):
            continue  # one number for each event
        beside = [twin for tag, twin in tags.items() if np.array_equal(counts[name], counts[tag])]
        sizes = [size for other in events if (size := _multiple(counts[name], other)) > 1]
        if beside or sizes:
            result[name] = (beside or sizes)[0]
    return result


def _multiple(counts: np.ndarray, events: np.ndarray) -> int:
    """Returns how many values each event has, if that is the same everywhere; 0 otherwise."""
    size = int(counts.sum() // max(1, events.sum()))
    return size if np.array_equal(counts, size * events) else 0
