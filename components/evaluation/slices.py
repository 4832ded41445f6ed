"""Cuts impressions into slices, by the values of one feature or of two."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.evaluation.metrics.catalogue import OVERALL

SliceKey = tuple[tuple[str, Any], ...]  # pairs (feature, value) as in TFMA; no pair for the overall slice


def slice_text(key: SliceKey) -> str:
    """`overall`, `user_activity=0` or `user_activity=0, item_popularity=1-2`."""
    return ", ".join(f"{feature}={value}" for feature, value in key) or OVERALL


def _plain(value: Any) -> Any:
    """A slice's value in the form in which TFMA writes it: int, float or text."""
    value = value.item() if isinstance(value, np.generic) else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def values_of(column: pa.Array) -> np.ndarray:
    """The values of a column of lists: (N,), None where a list is empty, and a tuple where it has several values."""
    values = column.flatten()
    if len(values) == len(column) and (pc.list_value_length(column).to_numpy(zero_copy_only=False) == 1).all():
        return values.to_numpy() if pa.types.is_primitive(values.type) else _shared_objects(values)
    rows = [tuple(row) if row and len(row) > 1 else row[0] if row else None for row in column.to_pylist()]
    result = np.empty(len(rows), object)
    result[:] = rows
    return result


def _shared_objects(values: pa.Array) -> np.ndarray:
    """(N,) objects; equal values are one object, since each takes about 40 bytes."""
    encoded = values.dictionary_encode()
    return np.array([*encoded.dictionary.to_pylist(), None], object)[encoded.indices.to_numpy()]


def slice_rows(columns: dict[str, np.ndarray], count: int) -> Iterator[tuple[SliceKey, np.ndarray]]:
    """Yields the slices that occur, each with its row numbers. Without columns there is one slice, of all rows.

    Args:
        columns: (N,) by feature, as `values_of` gives them. A row with several values is in the slice of each, one without a value in none.
        count: N.
    """
    rows, values = np.arange(count), list(columns.values())
    for place in range(len(values)):
        rows, values = _one_value_a_row(rows, values, place)
    kept = np.flatnonzero(np.all([~pd.isna(column) for column in values], axis=0)) if values else rows
    code = np.zeros(len(kept), np.int64)
    for column in values:
        codes, different = pd.factorize(column[kept])
        code = code * (len(different) or 1) + codes
    order = np.argsort(code, kind="stable")
    for members in np.split(kept[order], np.flatnonzero(np.diff(code[order])) + 1):
        if len(members):
            yield tuple((feature, _plain(column[members[0]])) for feature, column in zip(columns, values, strict=True)), rows[members]


def _one_value_a_row(rows: np.ndarray, values: list[np.ndarray], place: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Repeats each row for each of its values in one of the columns: (M,) rows and columns -> as many as there are values."""
    column = values[place]
    lengths = [len(value) if isinstance(value, tuple) else 1 for value in column] if column.dtype == object else []
    if max(lengths, default=1) == 1:
        return rows, values
    repeated = np.repeat(np.arange(len(rows)), lengths)
    single = np.array([part for value in column for part in (value if isinstance(value, tuple) else (value,))], object)
    return rows[repeated], [single if number == place else other[repeated] for number, other in enumerate(values)]
