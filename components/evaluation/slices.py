"""Cuts impressions into slices, by the values of one feature or of two."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from components.evaluation.metrics.catalogue import OVERALL

SliceKey = tuple[tuple[str, Any], ...]  # pairs (feature, value) as in TFMA; no pair for the overall slice


def slice_text(key: SliceKey) -> str:
    """`overall`, `user_activity=0` or `user_activity=0, item_popularity=1-2`."""
    return ", ".join(f"{feature}={value}" for feature, value in key) or OVERALL


def _plain(value: Any) -> Any:
    """A slice's value in the form in which TFMA writes it: int, float or text."""
    value = value.item() if isinstance(value, np.generic) else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def slice_rows(columns: dict[str, np.ndarray], count: int) -> Iterator[tuple[SliceKey, np.ndarray]]:
    """Yields the slices that occur, each with its row numbers. Without columns there is one slice, of all rows.

    Args:
        columns: (N,) by feature, None where a value is missing. A row with a missing value is in no slice.
        count: N.
    """
    rows = np.flatnonzero(np.all([~pd.isna(column) for column in columns.values()], axis=0)) if columns else np.arange(count)
    code = np.zeros(len(rows), np.int64)
    for column in columns.values():
        codes, values = pd.factorize(column[rows])
        code = code * (len(values) or 1) + codes
    order = np.argsort(code, kind="stable")
    for members in np.split(rows[order], np.flatnonzero(np.diff(code[order])) + 1):
        if len(members):
            yield tuple((feature, _plain(column[members[0]])) for feature, column in columns.items()), members
