"""Folders for unfinished work. What a killed process leaves of them is deleted by the next process that works in the same place."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from components.base.file_lock import hold_lock, is_locked

_PREFIX = ".din-unfinished-"
_LOCK = ".lock"


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Makes a folder in `parent`, and deletes it at the end. First it deletes those that killed processes left there.

    Raises:
        OSError: The folder cannot be made.
    """
    clear_scratch(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        new = folder / f"{_LOCK}.new"
        with hold_lock(new):
            new.rename(folder / _LOCK)  # so it never stands there unlocked while this process lives
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def dead_scratch(parent: Path) -> list[Path]:
    """Returns the folders of killed processes. What other users left, and cannot be read, is not among them."""
    found = []
    for folder in parent.glob(f"{_PREFIX}*/"):
        with contextlib.suppress(OSError):
            if (folder / _LOCK).exists() and not is_locked(folder / _LOCK):
                found.append(folder)
    return found


def clear_scratch(parent: Path) -> None:
    """Deletes the folders of killed processes."""
    for folder in dead_scratch(parent):
        shutil.rmtree(folder, ignore_errors=True)
