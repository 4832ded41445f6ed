"""Deletes what a plan names. A kill at any moment leaves a workspace that works."""

import contextlib
import shutil
from pathlib import Path

from components.serving.store.versions import clear_leftovers, locked, locked_for_push
from pipeline.housekeeping.cleaning_plan import REMOVING, Plan, plan_cleaning
from pipeline.records.metadata_cleaning import delete_rows, mark_deleted
from pipeline.records.metadata_store import close_killed_executions, forget_missing_artifacts
from pipeline.records.run_list import METADATA_FILE, record_killed
from pipeline.report.text_format import size

_AT_ONCE = ("run", "synthetic data")  # a reader must never find a part of these


def clean(workspace: Path, plan: Plan) -> None:
    """Deletes what was planned. The caller holds the lock of the workspace since it made the plan.

    What the metadata store does not know goes first: this makes room on a full disk, where nothing can be written. An artifact is marked
    as deleted before its files go, so that TFX's cache never offers a part of it. The rows of the executions go last, in one transaction.

    Raises:
        InputError: The metadata store cannot be opened.
        OSError: Something cannot be deleted; what was deleted before stays deleted.
    """
    metadata, artifacts = workspace / METADATA_FILE, [removal for removal in plan.removals if removal.kind == "artifact"]
    for base in workspace.glob("serving/*/"):
        with locked_for_push(base), locked(base):  # a rollback may be writing there
            clear_leftovers(base)
    for removal in plan.removals:
        if removal.kind != "artifact" and workspace / "serving" not in removal.path.parents:
            _delete(workspace, removal.path, at_once=removal.kind in _AT_ONCE)
    record_killed(workspace)
    close_killed_executions(metadata, workspace / "artifacts")
    mark_deleted(metadata, plan.artifacts)
    for removal in artifacts:
        _delete(workspace, removal.path)
    forget_missing_artifacts(metadata)
    delete_rows(metadata, plan.kept)


def clean_after_run(workspace: Path, keep: int, name: str) -> str:
    """Deletes the older runs of a name, and whatever nothing needs any more. The run holds the lock of the workspace.

    Returns:
        A sentence about what was deleted; empty if that was nothing.

    Raises:
        InputError, OSError: As `plan_cleaning` and `clean`.
    """
    plan = plan_cleaning(workspace, keep, name=name)
    clean(workspace, plan)
    counts = plan.counts()
    return f"Deleted, because nothing needs it any more (workspace.keep_runs is {keep}): {counts}; {size(plan.size)}." if counts else ""


def _delete(workspace: Path, path: Path, at_once: bool = False) -> None:
    if at_once:
        path = path.rename(workspace / f"{REMOVING}{path.name}")
    with contextlib.suppress(FileNotFoundError):  # a part of something that was deleted before
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
