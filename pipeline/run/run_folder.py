"""Gives a run its own folder in the workspace, and keeps other runs out of the workspace until it ends."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from components.base.atomic_files import write_whole
from components.base.errors import InputError
from components.base.file_lock import hold_lock
from components.base.scratch_folder import scratch_folder
from components.base.secrets import hide_secrets
from pipeline.records.run_list import LOCK_FILE
from pipeline.records.workspace_lock import locked_workspace
from pipeline.run.checks.check_environment import check_workspace

_MOMENT, _MOMENT_LENGTH = "%Y%m%d-%H%M%S", 15


@contextlib.contextmanager
def run_folder(workspace: Path, name: str) -> Iterator[Path]:
    """Makes a folder such as `runs/20261124-101500-demo`, whose name is the run's id. Ids sort by age.

    A workspace has one run at a time, because its metadata store and its serving folder have one writer. The run holds two locks, which the
    system releases when its process ends: that of the workspace, and that of its folder, by which `din runs` sees that it goes on.

    Raises:
        InputError: The workspace cannot be made or written, another run is using it, or no temporary files can be made.
    """
    check_workspace(workspace)
    with contextlib.ExitStack() as locks:
        locks.enter_context(locked_workspace(workspace))
        folder = workspace.absolute() / "runs" / f"{_next_moment(workspace / 'runs'):{_MOMENT}}-{name}"
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be made ({error.strerror}): name another workspace with --workspace.") from error
        locks.enter_context(hold_lock(folder / LOCK_FILE))
        locks.enter_context(_own_temporary_files())
        yield folder


def _next_moment(runs: Path) -> datetime:
    """Returns the time, or the second after that of the newest run if this is later: after another run, or after a clock was set back."""
    now, later = datetime.now(UTC).replace(microsecond=0), []
    for folder in runs.glob("*/"):
        with contextlib.suppress(ValueError, OverflowError):  # a folder of another name
            later.append(datetime.strptime(folder.name[:_MOMENT_LENGTH], _MOMENT).replace(tzinfo=UTC) + timedelta(seconds=1))
    return max([now, *later])


def write_json(file: Path, content: Any) -> None:
    """Writes a file of a run, whole or not at all, without the secrets of URLs."""
    write_whole(file, [hide_secrets(json.dumps(content)), "\n"])


@contextlib.contextmanager
def _own_temporary_files() -> Iterator[None]:
    """Gives this process and its children a TMPDIR that is deleted at the end: TensorFlow leaves files there when it is killed."""
    before = os.environ.get("TMPDIR")
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch_folder(Path(tempfile.gettempdir())))
        except OSError as error:
            raise InputError(
                f"There is no folder for temporary files ({error.strerror}): name one with TMPDIR, or free some space."
            ) from error
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = None  # it is found anew
            os.environ.pop("TMPDIR")
            if before is not None:
                os.environ["TMPDIR"] = before
