"""Gives a run its own folder in the workspace, and keeps other runs out of the workspace until it ends."""

import contextlib
import fcntl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from components.base.errors import InputError
from pipeline.run.check_environment import check_workspace


@contextlib.contextmanager
def run_folder(workspace: Path, name: str) -> Iterator[Path]:
    """Makes a folder such as `runs/20261124-101500-demo`, whose name is the run's id. A second run in the same second gets a counter.

    A workspace has one run at a time, because its metadata store and its serving folder have one writer.

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
