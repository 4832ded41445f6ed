"""A table of attributes in memory, and the search for the row of an id, or of an id at a time."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class AttributeTable(NamedTuple):
    """A table sorted by id and time. K different ids, R rows, T different times.

    Attributes:
        keys: (K,) the different ids, ascending: int64 or large_binary.
        times: (T,) int64, the different times from which rows hold, ascending; one time, 0, in a table without times.
        codes: (R,) int64, ascending: number of the row's id · (T + 1) + number of its time from 1.
        columns: Attributes by name: (R + 1,), (R + 1, most tags) or (R + 1, size). The last row has no value: it is that of unknown ids.
    """

    keys: pa.Array
    times: np.ndarray
    codes: np.ndarray
    columns: Mapping[str, np.ndarray]

    def find(self, ids: pa.Array, times: np.ndarray | None = None) -> np.ndarray:
        """Finds the row of each id.

        Args:
            ids: (N,) of the type of `keys`.
            times: (N,) int64 unix seconds: the newest row that holds at that time; None for the newest row.

        Returns:
            (N,) int64; R for an id without such a row.
        """
        key = pc.fill_null(pc.index_in(ids, value_set=self.keys), -1).to_numpy(zero_copy_only=False).astype(np.int64)
        newest = len(self.times) if times is None else np.searchsorted(self.times, times, side="right")
        base = key * (len(self.times) + 1)
        row = np.searchsorted(self.codes, base + newest, side="right") - 1
        found = (key >= 0) & (row >= 0)
        found[found] &= self.codes[row[found]] > base[found]  # the row belongs to this id, and to no smaller one
        return np.where(found, row, len(self.codes))
