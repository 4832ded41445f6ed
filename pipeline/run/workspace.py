"""The workspace: one run at a time, each in a folder of its own."""

import contextlib
import fcntl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from components.base.errors import InputError
from pipeline.run.preflight import check_workspace

if TYPE_CHECKING:  # TFX is imported when the data is known to be sound
    pass


@contextlib.contextmanager
def run_folder(workspace: Path, name: str) -> Iterator[Path]:
    """Makes `runs/20261124-101500-demo`, with a counter where that second is taken; its name is the run's id.

    One run at a time in a workspace: its metadata store and serving folder have one writer.

    Raises:
        InputError: The workspace cannot be made or written, or another run is using it.
    """
    check_workspace(workspace)
    with open(workspace / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"Another run is using {workspace}: wait for it, or name another workspace with --workspace.") from error
        base = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{name}"
        taken = sum(1 for _ in (workspace / "runs").glob(f"{base}*"))
        folder = workspace.absolute() / "runs" / (f"{base}-{taken + 1}" if taken else base)
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be made ({error.strerror}): name another workspace with --workspace.") from error
        yield folder
