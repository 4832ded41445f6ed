"""Sorts the interactions of whole users by time and drops repetitions."""

from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.sources.interactions import ITEM, LABEL, REQUEST, SPLIT, TIMESTAMP, USER, further_labels

ORDER = "__order"  # the place of an interaction in the source

_REPEATED = {
    "latest": "earlier interactions of a user with an item: the latest counts",
    "all": "repetitions: same user, item, time and request (a click counts before a non-click)",
}


class Ordered(NamedTuple):
    """Interactions sorted by user and time, and what was found while sorting.

    Attributes:
        table: The columns of the source, and `ORDER`.
        dropped: How many interactions were dropped, by reason.
        unordered: How many interactions came after a later one of the same user.
    """

    table: pa.Table
    dropped: dict[str, int]
    unordered: int


def codes(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Returns (N,) numbers from 0 that are equal where the values are equal; all nulls are equal."""
    encoded = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pc.dictionary_encode(encoded, null_encoding="encode").indices.to_numpy(zero_copy_only=False).astype(np.int64)


def changes(*keys: np.ndarray) -> np.ndarray:
    """(N,) keys -> (N,) bool: whether a row differs from the row before it; true for the first row."""
    if not len(keys[0]):
        return np.zeros(0, bool)
    return np.append(True, np.any([key[1:] != key[:-1] for key in keys], axis=0))


def group_starts(changed: np.ndarray) -> np.ndarray:
    """(N,) bool, true where a group of rows begins -> (N,) the first row of each row's group."""
    return np.maximum.accumulate(np.where(changed, np.arange(len(changed)), 0))


def times(table: pa.Table) -> np.ndarray:
    """Returns the times of the rows, (N,) int64: unix seconds, or the place in the source where there are no timestamps."""
    return table[TIMESTAMP if TIMESTAMP in table.column_names else ORDER].to_numpy()


def in_order(table: pa.Table, repeats: Literal["latest", "all"]) -> Ordered:
    """Sorts by user, time and place in the source, and drops repetitions.

    Args:
        table: Interactions with `ORDER`.
        repeats: As in `interactions.Source.repeats`. Without timestamps nothing is a repetition.
    """
    user, time, order = codes(table[USER]), times(table), table[ORDER].to_numpy()
    as_read = np.lexsort((order, user))
    unordered = int(((np.diff(time[as_read]) < 0) & (np.diff(user[as_read]) == 0)).sum())
    if TIMESTAMP not in table.column_names:
        return Ordered(table.take(as_read), {}, unordered)
    kept = _latest(table, user, time) if repeats == "latest" else _different(table, user, time)
    dropped = table.num_rows - len(kept)
    rows = kept[np.lexsort((order[kept], time[kept], user[kept]))]
    return Ordered(table.take(rows), {_REPEATED[repeats]: dropped} if dropped else {}, unordered)


def _latest(table: pa.Table, user: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Returns the rows of the latest interaction of each (user, item)."""
    item = codes(table[ITEM])
    by_item = np.lexsort((table[ORDER].to_numpy(), time, item, user))
    return by_item[np.append(changes(user[by_item], item[by_item])[1:], True)]


def _different(table: pa.Table, user: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Returns the rows without exact repetitions: from each group the first click, or the first row where there is no click."""
    keys = [codes(table[name]) for name in (ITEM, REQUEST, SPLIT) if name in table.column_names]
    labels = [-table[name].to_numpy().astype(np.int64) for name in (*further_labels(table.schema), LABEL)]
    grouped = np.lexsort((table[ORDER].to_numpy(), *labels, *keys, time, user))
    return grouped[changes(*(key[grouped] for key in (user, time, *keys)))]
