"""Gives a run its own folder in the workspace, and keeps other runs out of the workspace until it ends."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from components.base.errors import InputError
from components.base.file_lock import hold_lock
from pipeline.records.run_list import LOCK_FILE
from pipeline.run.check_environment import check_workspace


@contextlib.contextmanager
def run_folder(workspace: Path, name: str) -> Iterator[Path]:
    """Makes a folder such as `runs/20261124-101500-demo`, whose name is the run's id. A second run in the same second gets a counter.

    A workspace has one run at a time, because its metadata store and its serving folder have one writer. The run holds two locks, which the
    system releases when its process ends: that of the workspace, and that of its folder, by which `din runs` sees that it goes on.

    Raises:
        InputError: The workspace cannot be made or written, or another run is using it.
    """
    check_workspace(workspace)
    with contextlib.ExitStack() as locks:
        try:
            locks.enter_context(hold_lock(workspace / LOCK_FILE))
        except BlockingIOError as error:
            raise InputError(f"Another run is using {workspace}: wait for it, or name another workspace with --workspace.") from error
        base = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{name}"
        taken = sum(1 for _ in (workspace / "runs").glob(f"{base}*"))
        folder = workspace.absolute() / "runs" / (f"{base}-{taken + 1}" if taken else base)
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be made ({error.strerror}): name another workspace with --workspace.") from error
        locks.enter_context(hold_lock(folder / LOCK_FILE))
        yield folder
