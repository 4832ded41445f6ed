"""The days of an import: which day a time belongs to, in UTC, and whether it can be a folder."""

import numpy as np

from components.base.errors import InputError

SECONDS = 86_400  # of a day
_FIRST, _LAST = 0, 253_402_300_799  # unix seconds: 1970-01-01 and the end of 9999-12-31


def end_of_day(times: np.ndarray) -> np.ndarray:
    """(N,) unix seconds -> (N,) the last second of each one's day."""
    return (times // SECONDS + 1) * SECONDS - 1


def day_starts(times: np.ndarray) -> list[int]:
    """(N,) times in order -> the rows where a day begins; 0 is among them, unless there are no rows."""
    if not len(times):
        return []
    return [0, *(np.flatnonzero(np.diff(times // SECONDS)) + 1).tolist()]


def check_dates(time_range: dict[str, int] | None) -> None:
    """Checks that each time has a date that a folder can be named by.

    Raises:
        InputError: The first or the last time has none.
    """
    for time in (time_range or {}).values():
        if not _FIRST <= time <= _LAST:
            raise InputError(
                f"A time is {time:,} in unix seconds, and days can be from 1970 to 9999: check the unit of the times, or remove the rows."
            )
