"""Checks of `din doctor` on a workspace: its runs, its outputs, its metadata store and its versions."""

from collections.abc import Iterator
from pathlib import Path

from components.base.errors import InputError, explain_place
from components.base.file_lock import is_locked
from components.serving.store.models_config import MODELS_CONFIG, STABLE, read_models_config
from components.serving.store.versions import read_rolled_back, served_versions, sound_versions
from pipeline.housekeeping.cleaning_plan import plan_cleaning
from pipeline.housekeeping.findings import Finding, Where, command
from pipeline.records.metadata_cleaning import Stored, read_stored
from pipeline.records.run_list import LOCK_FILE, METADATA_FILE, read_summaries, unrecorded_kills
from pipeline.report.text_format import size

_ALL = 10**9  # no run is too many here: how many stay is the user's choice


def workspace_facts(workspace: Path) -> dict[str, str]:
    """Returns what is in a workspace."""
    if not workspace.is_dir():
        return {"workspace": f"{workspace} is not there yet: din run makes it"}
    runs = read_summaries(workspace)
    used = ", in use by a run" if is_locked(workspace / LOCK_FILE) else ""
    last = f", the last one {runs[-1].run_id} ({runs[-1].status})" if runs else ""
    names = {base.name: len(served_versions(base)) for base in sorted(workspace.glob("serving/*/"))}
    versions = ", ".join(f"{count} of {name}" for name, count in names.items()) or "none"
    return {"workspace": f"{workspace}{used}: {len(runs)} runs{last}", "versions": versions}


def check_workspace_state(workspace: Path) -> Iterator[Finding]:
    """Finds what is wrong in a workspace. What a run that goes on has left open is not wrong."""
    if not workspace.is_dir():
        return
    for base in sorted(workspace.glob("serving/*/")):
        yield from _check_versions(base, workspace)
    if is_locked(workspace / LOCK_FILE):
        return
    yield from _check_runs(workspace)
    yield from _check_metadata(workspace)


def _check_runs(workspace: Path) -> Iterator[Finding]:
    for run in unrecorded_kills(workspace):
        yield Finding("workspace", f"Run {run.run_id}: {run.refused_because}.", _clean(workspace))
    for run in read_summaries(workspace):
        if run.name == "?":  # a summary that cannot be read
            yield Finding("workspace", f"Run {run.run_id}: {run.refused_because}.", command("rm", "-r", workspace / "runs" / run.run_id))


def _check_metadata(workspace: Path) -> Iterator[Finding]:
    """Finds what the store and the folders of the outputs do not have in common, and leftovers."""
    metadata = workspace / METADATA_FILE
    if metadata.is_file() and not metadata.stat().st_size and (workspace / "artifacts").is_dir():
        what = f"{metadata} is empty, so nothing is known of the outputs: restore it. Without it the next run repeats all steps."
        yield Finding("metadata", what, command("mv", metadata, metadata.with_suffix(".damaged")))
        return
    try:
        stored = read_stored(metadata, ())
        removals = plan_cleaning(workspace, _ALL).removals if stored else []
        rows = list(_check_rows(stored, workspace)) if stored else []
    except InputError as error:
        server = metadata.with_suffix(".json")  # says which database of a server has the metadata instead
        end = command("cat", server) if server.exists() else command("mv", metadata, metadata.with_suffix(".damaged"))
        yield Finding("metadata", str(error), end)
        return
    except Exception as error:
        yield Finding("metadata", explain_place(error) or f"{metadata} cannot be read: {error}.", command("ls", "-l", metadata))
        return
    yield from rows
    kinds: tuple[tuple[Where, str, str], ...] = (
        ("workspace", "leftover", "Leftovers of processes that were killed"),
        ("metadata", "orphan", "Outputs that the metadata store does not have"),
    )
    for where, kind, title in kinds:
        if found := [removal for removal in removals if removal.kind == kind and removal.path.name != ".system"]:
            what = f"{title}: {len(found)}, {size(sum(removal.size for removal in found))}, such as {found[0].path}."
            yield Finding(where, what, _clean(workspace))


def _check_rows(stored: Stored, workspace: Path) -> Iterator[Finding]:
    if stored.open:
        what = f"Executions that a killed run left open: {stored.open}. The next run, or a cleaning, closes them."
        yield Finding("metadata", what, _clean(workspace))
    if gone := [path for path in stored.live.values() if not path.exists()]:
        moved = " The workspace was moved: the next run repeats all steps." if len(gone) == len(stored.live) else ""
        yield Finding("metadata", f"Outputs whose files are gone: {len(gone)}, such as {gone[0]}.{moved}", _clean(workspace))


def _check_versions(base: Path, workspace: Path) -> Iterator[Finding]:
    """Finds versions that no server can load, and labels that servers cannot follow."""
    versions, name = served_versions(base), ("--workspace", workspace, "--name", base.name)
    try:
        served = read_models_config(base)
        rolled_back, sound = read_rolled_back(base), sound_versions(base)
    except InputError as error:
        yield Finding("workspace", str(error), command("rm", base / MODELS_CONFIG if MODELS_CONFIG in str(error) else base / "rolled_back"))
        return
    lacks = {version: missing for version in versions if (missing := _missing_part(base / str(version)))}
    for version, missing in lacks.items():
        if served is None or version not in served.labels.values():
            end = command("rm", "-r", base / str(version))
        elif set(sound) - lacks.keys():
            end = command("din", "rollback", *name)
        else:  # no version can replace it but a new one
            end = command("din", "run", "--workspace", workspace)
        yield Finding("workspace", f"{base / str(version)} has no {missing}, so no server can load it.", end)
    if served is None and versions:
        to = str(sound[-1] if sound else versions[-1])
        what = f"{base} has versions, but no {MODELS_CONFIG}, so no server can serve them."
        yield Finding("workspace", what, command("din", "rollback", *name, "--to", to))
    if served and served.labels[STABLE] in rolled_back:
        what = f"{base}: version {served.labels[STABLE]} is labelled {STABLE}, but was rolled back: a rollback was killed."
        yield Finding("workspace", what, command("din", "rollback", *name))


def _missing_part(version: Path) -> str | None:
    """Returns the file of a SavedModel that is not there."""
    parts = ("saved_model.pb", "variables/variables.index")
    return next((part for part in parts if not (version / part).is_file()), None)


def _clean(workspace: Path) -> str:
    return command("din", "clean", "--workspace", workspace)
