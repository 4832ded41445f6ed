"""Finds what a cleaning deletes: old runs, what only they used, and what killed processes left. Nothing is deleted here."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from components.base.errors import InputError
from components.base.scratch_folder import dead_scratch
from components.serving.store.versions import leftovers, served_versions
from pipeline.housekeeping.kept_runs import kept_runs, named_paths, started_at
from pipeline.places import TRIALS_SUFFIX
from pipeline.records.metadata_cleaning import Stored, read_stored
from pipeline.records.run_list import METADATA_FILE, read_summaries
from pipeline.records.store_place import has_store
from pipeline.records.summary import Summary

_PLURALS = {"synthetic data": "synthetic data sets", "check facts": "files of check facts"}
REMOVING = ".removing-"  # a folder of `runs` or `data` that is deleted is first renamed to such a name in the workspace


class Removal(NamedTuple):
    """One thing that is deleted.

    Attributes:
        kind: `run`, `artifact`, `orphan` (outputs that the metadata store does not have), `checkpoint`, `synthetic data`, `schema`,
            `check facts` or `leftover` (of a killed process).
        path: A file or a folder.
        size: Its bytes.
    """

    kind: str
    path: Path
    size: int


class Plan(NamedTuple):
    """What a cleaning deletes.

    Attributes:
        removals: In the order in which they are deleted.
        artifacts: The numbers of the artifacts among them.
        kept: The ids of the runs that stay.
    """

    removals: list[Removal]
    artifacts: set[int]
    kept: set[str]

    @property
    def size(self) -> int:
        return sum(removal.size for removal in self.removals)

    def counts(self) -> str:
        """Returns how many things of each kind there are, e.g. `2 runs, 14 artifacts`; empty if there is nothing that takes space."""
        kinds = Counter(removal.kind for removal in self.removals if removal.size)
        return ", ".join(f"{count} {_PLURALS.get(kind, f'{kind}s') if count > 1 else kind}" for kind, count in kinds.items())


def plan_cleaning(workspace: Path, keep: int, before: datetime | None = None, name: str | None = None) -> Plan:
    """Finds what can be deleted. Nobody else may be using the workspace.

    A cleaning may be killed at any moment: what stays is complete, and the next cleaning finds the rest.

    Args:
        workspace: The workspace.
        keep: As in `kept_runs`, like `before` and `name`.

    Raises:
        InputError: The folder is no workspace, or its metadata store cannot be opened.
    """
    summaries = read_summaries(workspace)
    if not summaries and not has_store(workspace / METADATA_FILE):
        raise InputError(f"{workspace} has no runs, so nothing in it is deleted: name a workspace with --workspace.")
    kept = kept_runs(workspace, summaries, keep, before, name)
    runs = [run for run in summaries if run.run_id in kept]
    named = _with_parents(named_paths(workspace, kept))
    stored = read_stored(workspace / METADATA_FILE, kept)
    old, orphans = _outputs(workspace, stored, named) if stored else ({}, [])
    found: list[tuple[str, Iterable[Path]]] = [
        ("leftover", _leftovers(workspace)),
        ("orphan", orphans),
        ("run", (workspace / "runs" / run.run_id for run in summaries if run.run_id not in kept)),
        ("synthetic data", _synthetic(workspace, runs)),
        ("checkpoint", _checkpoints(workspace, runs)),
        ("schema", _schemas(workspace, runs)),
        ("check facts", _check_facts(workspace, runs)),
        ("artifact", old.values()),
    ]
    removals = [Removal(kind, path, _size(path)) for kind, paths in found for path in paths if path.resolve() not in named]
    return Plan(removals, set(old), kept)


def _outputs(workspace: Path, stored: Stored, named: set[Path]) -> tuple[dict[int, Path], list[Path]]:
    """Returns the artifacts that no kept run used, by their numbers, and the folders of outputs that are no artifact.

    Only folders of the form `artifacts/NAME/NODE/KEY/NUMBER`, which TFX makes, and links to versions that are gone are ever deleted.
    """
    root = workspace / "artifacts"
    folders = {path.resolve(): path for path in root.glob("*/*/*/*/") if path.name.isdecimal() and path.parent.name != ".system"}
    gone = [path for path in root.glob("*/baseline/*/") if path.name.isdecimal() and int(path.name) not in _versions(workspace, path)]
    folders |= {path.resolve(): path for path in gone}
    live = {path.resolve(): number for number, path in stored.live.items()}
    old = {live[place]: path for place, path in folders.items() if place in live and live[place] not in stored.used}
    old = {number: path for number, path in old.items() if path.resolve() not in named}
    around = _with_parents(live)
    return old, [path for place, path in folders.items() if place not in around and live.keys().isdisjoint(place.parents)]


def _versions(workspace: Path, link: Path) -> list[int]:
    return served_versions(workspace / "serving" / link.parents[1].name)


def _with_parents(paths: Iterable[Path]) -> set[Path]:
    """Returns paths and all folders that hold them."""
    return {place for path in paths for place in (path, *path.parents)}


def _leftovers(workspace: Path) -> Iterator[Path]:
    """Yields what killed processes left: half copies, temporary files, and the folders in which TFX keeps the state of an execution."""
    yield from workspace.glob(f"{REMOVING}*")
    for folder in (workspace, workspace / "data"):
        yield from dead_scratch(folder)
    for pattern in (".*.part", "runs/*/.*.part", "checks/.*.part", "schemas/.*.part", "assets/.*.part"):
        yield from workspace.glob(pattern)
    yield from workspace.glob("artifacts/*/*/.system/")
    for base in workspace.glob("serving/*/"):
        yield from leftovers(base)


def _synthetic(workspace: Path, runs: Collection[Summary]) -> list[Path]:
    used = {Path(run.data).name for run in runs if run.data}
    return [folder for folder in workspace.glob("data/synthetic-*/") if folder.name not in used]


def _checkpoints(workspace: Path, runs: Collection[Summary]) -> list[Path]:
    """Returns the state of trainings and searches that nothing continues: a run of the same name was evaluated since."""
    last = {run.name: run for run in runs}
    unfinished = {name for name, run in last.items() if run.metrics is None}
    folders = workspace.glob("checkpoints/*/*/")
    return [folder for folder in folders if folder.parent.name.removesuffix(TRIALS_SUFFIX) not in unfinished]


def _schemas(workspace: Path, runs: Collection[Summary]) -> list[Path]:
    used = {Path(run.schema_path).name for run in runs if run.schema_path}
    return [file for file in workspace.glob("schemas/*.pbtxt") if file.name not in used]


def _check_facts(workspace: Path, runs: Collection[Summary]) -> list[Path]:
    """Returns the facts of shards that no kept run read or wrote: each run writes its file anew."""
    first: dict[str, float] = {}
    for run in runs:
        started = started_at(run, workspace).timestamp()
        first[run.name] = min(started, first.get(run.name, started))
    facts = workspace.glob("checks/*-*.json")
    return [file for file in facts if file.stat().st_mtime < first.get(file.stem.rpartition("-")[0], float("inf"))]


def _size(path: Path) -> int:
    """Returns the bytes of a file, or of all files in a folder; links are not followed."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(os.lstat(Path(folder, file)).st_size for folder, _, files in os.walk(path) for file in files)
