"""Counts the rows of a table that cannot be read, or hold a value that is not legal, in the order of the file."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np

from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.tables.raw_rows import RawRows


def sound_rows(path: Path, rows: RawRows, faults: Sequence[tuple[np.ndarray, Callable[[int], str]]], tally: Tally) -> np.ndarray:
    """Returns which rows are sound, (N,) bool, and gives the others to the tally.

    Args:
        path: The file.
        rows: N rows.
        faults: Of each column, which values are not legal, (N,) bool, and what says so for one place. The first one of a row counts.
        tally: Counts the broken rows.

    Raises:
        InputError: A row is broken, and broken rows are not skipped.
    """
    broken = np.any([mask for mask, _ in faults], axis=0)
    found = list(rows.broken.items())
    for place in np.flatnonzero(broken).tolist():
        describe = next(describe for mask, describe in faults if mask[place])
        found.append((int(rows.numbers[place]), describe(place)))
    for number, fault in sorted(found, key=itemgetter(0)):
        tally.count_broken(path, number, fault, rows.unit)
    return ~broken
