"""A lock on a file. The system releases it when the process that holds it ends, however it ends: so it tells who is alive."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from components.base.errors import InputError


@contextlib.contextmanager
def hold_lock(file: Path) -> Iterator[None]:
    """Holds the lock of a file, which is made if it is not there.

    Raises:
        BlockingIOError: Another process holds the lock.
        InputError: The file system has no locks.
        OSError: The file cannot be made.
    """
    with open(file, "w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError as error:
            raise InputError(f"{file} cannot be locked ({error.strerror}): name a place on a file system that has locks.") from error
        yield


def is_locked(file: Path) -> bool:
    """Returns whether a process holds the lock of a file. A file that is not there is not locked."""
    try:
        with open(file) as tried:
            fcntl.flock(tried, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
