"""Checks the values of one feature in a batch: what an id, a time, a number, a text or a position may be.

A value that means "no value" (−1 for ids, "" for bytes, NaN for floats) is as good as the feature's absence: an optional feature and a
field of an event may be missing, whatever must have a value may not, and a history of ids holds real events only.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.utf8 import is_utf8
from din_trainer.kinds import MISSING
from din_trainer.raw_inputs import Input
from pipeline.run.checks.checked_batch import CheckedBatch

_NOT_IN_A_LINE = "[\r\n\x00]"  # Transform leaves out text with line ends, and NumPy cuts text at its last NULs


def check_values(batch: CheckedBatch, read: Input) -> bool:
    """Checks the values of a feature that some impression has.

    Returns:
        Whether any of them is not missing.

    Raises:
        DataError: The first problem that is found.
    """
    column = read.column
    missing = _missing(batch, read)
    if column.presence == "required":
        message = "is {value}, which means that it is missing, but every impression needs its value: write it, or leave the impression out."
        batch.refuse_value(column.name, missing, message)
    if read.use == "event":
        message = "holds {value}, which means no event: leave such events out, here and in the lists that are aligned with it."
        batch.refuse_value(column.name, missing, message)
    if read.use == "weight":
        batch.refuse_value(column.name, missing, f"is {{value}}, but each value of {read.beside!r} needs a weight: write a number.")
    return not missing.all()


def _missing(batch: CheckedBatch, read: Input) -> np.ndarray:
    """Checks the values of a feature, and returns which of them are missing, (V,)."""
    column, name = read.column, read.column.name
    if column.dtype == "bytes":
        values = batch.values(name)
        _check_text(batch, read, values)
        return pc.equal(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)
    values = batch.numbers(name)
    if column.dtype == "float":
        batch.refuse_value(name, np.isinf(values), "is {value}: leave it out, or write NaN, where there is no number.")
        return np.isnan(values)
    if read.use == "time":
        batch.refuse_value(name, values < read.lowest, "holds the time {value}: times are unix seconds, 0 or more.")
        return values == MISSING["int64"]
    if column.is_number and read.use != "position":
        return np.zeros(len(values), bool)  # a number may be −1
    what = "the position {value}: positions are" if read.use == "position" else "a negative id ({value}): ids must be"
    batch.refuse_value(name, (values < 0) & (values != MISSING["int64"]), f"holds {what} 0 or more.")
    return values == MISSING["int64"]


def _check_text(batch: CheckedBatch, read: Input, values: pa.Array) -> None:
    """Checks that bytes can be ids: each is a line of the vocabulary's file. A hash needs no such file."""
    if read.use == "hash":
        return
    bad = pc.match_substring_regex(values, _NOT_IN_A_LINE).to_numpy(zero_copy_only=False)
    advice = "holds {value}: ids with a line end or NUL fit in no vocabulary, so replace these characters."
    batch.refuse_value(read.column.name, bad, advice)
    try:
        values.cast(pa.large_string())
    except pa.ArrowInvalid:
        bad = np.array([not is_utf8(value) for value in values.to_pylist()])
        batch.refuse_value(read.column.name, bad, "holds {value}, which is not UTF-8: write ids as text in UTF-8, or as whole numbers.")
