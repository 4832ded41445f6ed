"""Counts the digits of integer ids by value, for TFDV's average length of ids."""

import numpy as np
import pyarrow as pa

_POWERS = 10 ** np.arange(1, 19, dtype=np.uint64)  # an int64 has up to 19 digits


def total_length(values: pa.Array) -> int:
    """The number of characters of all integers together, with their signs: the sum of `len(str(value))`.

    TFDV makes a text of each value. Here each distinct value is measured once.
    """
    counted = values.value_counts()
    distinct, counts = counted.field("values").to_numpy(), counted.field("counts").to_numpy()
    size = np.abs(distinct.astype(np.int64)).astype(np.uint64)  # |-2^63| stays -2^63, which is 2^63 as uint64
    lengths = np.searchsorted(_POWERS, size, side="right") + 1 + (distinct < 0)
    return int((lengths * counts).sum())
