"""The lock of a workspace: its metadata store and its folders have one writer at a time, which is a run or a cleaning."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from components.base.errors import InputError
from components.base.file_lock import hold_lock
from pipeline.records.run_list import LOCK_FILE


@contextmanager
def locked_workspace(workspace: Path) -> Iterator[None]:
    """Holds the lock of a workspace, which the system releases when the process ends.

    Raises:
        InputError: Another process holds it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(workspace / LOCK_FILE))
        except BlockingIOError as error:
            raise InputError(f"Another run is using {workspace}: wait for it, or name another workspace with --workspace.") from error
        yield
