"""Refuses values of a table of attributes that the data may not have either, so that both mean the same to the model."""

import re

import numpy as np

from din_trainer.features import Column
from din_trainer.kinds import MISSING

_NOT_IN_A_LINE = re.compile(b"[\r\n\x00]")  # no vocabulary file can have such text


def wrong_value(values: np.ndarray, column: Column) -> str | None:
    """Returns what is wrong with the values of a column: (R,), (R, tags) or (R, size); None if nothing is.

    Args:
        values: Missing ones are NaN (numbers), −1 (ids) or "" (text).
        column: The feature that reads them.
    """
    if column.dtype == "bytes":
        bad = next((value for value in values.flat if _NOT_IN_A_LINE.search(value)), None)
        return None if bad is None else f"holds {bad!r}: ids with a line end or NUL fit in no vocabulary, so replace these characters"
    if not column.is_number:
        bad = values[(values < 0) & (values != MISSING["int64"])]
        return f"holds a negative id ({bad.flat[0]}): ids must be 0 or more" if bad.size else None
    if np.isinf(values).any():
        return "holds an infinite number: leave it out where there is no number"
    missing = np.isnan(values)
    if values.ndim == 2 and column.width is not None and (missing.any(axis=1) & ~missing.all(axis=1)).any():
        return "has a vector with missing numbers and others: write all of its numbers, or none"
    return None
