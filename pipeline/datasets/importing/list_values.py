"""Compares columns of lists, which Arrow's own functions do not."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.event_fields import list_lengths


def count_differing(first: pa.Array, second: pa.Array) -> int:
    """Returns in how many rows two columns differ: single values, or lists. A missing single value differs from nothing."""
    if not pa.types.is_nested(first.type):
        return pc.sum(pc.not_equal(first, second)).as_py() or 0
    sizes = list_lengths(first)
    same_size = sizes == list_lengths(second)
    kept = pa.array(same_size)
    differs = pc.not_equal(first.filter(kept).flatten(), second.filter(kept).flatten()).fill_null(False)
    rows = np.repeat(np.arange(same_size.sum()), sizes[same_size])
    return int((~same_size).sum()) + len(np.unique(rows[differs.to_numpy(zero_copy_only=False)]))
