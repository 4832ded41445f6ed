"""The runs of a workspace, from their first second: those that go on, those that ended, and those that were killed.

A run holds the lock of a file in its folder while it lives. A run that did not end and holds no lock was killed.
"""

from pathlib import Path

from components.base.errors import InputError
from components.base.file_lock import is_locked
from components.serving.store.versions import pushed_by
from pipeline.records.summary import SUMMARY_FILE, Summary, read_summary

LOCK_FILE = ".lock"  # in the folder of a run, as in a workspace
LOG_FILE = "log.txt"  # in the folder of a run
METADATA_FILE = "metadata.sqlite"  # in a workspace: the store of TFX

_OF_A_RUN = (SUMMARY_FILE, LOCK_FILE, LOG_FILE)  # a folder with one of these is that of a run


def read_summaries(workspace: Path) -> list[Summary]:
    """Reads the summaries of all runs of a workspace, oldest first. A summary that cannot be read is returned as that of a failed run.

    Raises:
        InputError: There is no such folder.
    """
    if not workspace.is_dir():
        raise InputError(f"{workspace} is no folder: name a workspace with --workspace, or start a run with din run.")
    folders = sorted(folder for folder in workspace.glob("runs/*/") if any((folder / name).exists() for name in _OF_A_RUN))
    return [_read_run(folder) for folder in folders]


def unrecorded_kills(workspace: Path) -> list[Summary]:
    """Returns the runs that were killed and whose own summaries do not say so."""

    def is_recorded(run: str) -> bool:
        file = workspace / "runs" / run / SUMMARY_FILE
        return file.exists() and read_summary(file).status == "killed"

    return [run for run in read_summaries(workspace) if run.status == "killed" and not is_recorded(run.run_id)]


def record_killed(workspace: Path) -> list[Summary]:
    """Writes `killed` into the summaries of the runs that were killed, with what they pushed.

    Returns:
        Those of them that were not recorded before.
    """
    killed = unrecorded_kills(workspace)
    for summary in killed:
        summary.write_to(workspace / "runs" / summary.run_id / SUMMARY_FILE)
    return killed


def claim_pushed(summary: Summary, workspace: Path) -> None:
    """Notes which version a run pushed, if it did not come to note that itself."""
    if summary.pushed_version is None:
        for base in sorted(workspace.glob("serving/*/")):
            if version := pushed_by(base, summary.run_id):
                summary.pushed_version, summary.pushed_path = version, str(base / str(version))


def _read_run(folder: Path) -> Summary:
    summary = _read_or_begin(folder)
    if summary.status == "started" and not is_locked(folder / LOCK_FILE):
        summary = _read_or_begin(folder)  # it may have ended after it was read
        if summary.status == "started":
            _end_killed(summary, folder.parents[1])
    return summary


def _read_or_begin(folder: Path) -> Summary:
    """Returns what is recorded, or what the folder's name says: a run that was killed at once, or by an older release, has no summary."""
    try:
        return read_summary(folder / SUMMARY_FILE).model_copy(update={"run_id": folder.name})
    except FileNotFoundError:
        return Summary(run_id=folder.name, name=folder.name.split("-", 2)[-1])


def _end_killed(summary: Summary, workspace: Path) -> None:
    claim_pushed(summary, workspace)
    done = f"after it pushed version {summary.pushed_version}" if summary.pushed_version else "before it pushed a model"
    summary.end("killed", f"its process was killed {done}")
