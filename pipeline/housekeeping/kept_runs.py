"""Decides which runs of a workspace stay: the newest of each name, those that made a version which is kept, and those that others need."""

import json
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from components.serving.store.versions import pushing_run, served_versions
from pipeline.records.summary import SUMMARY_FILE, Summary
from pipeline.report.content import CONFIG_FILE


def kept_runs(
    workspace: Path, summaries: Collection[Summary], keep: int, before: datetime | None = None, name: str | None = None
) -> set[str]:
    """Returns the ids of the runs that stay.

    For each name, the newest runs that were evaluated stay, and as many of the newest that were not: runs that fail do not push out those
    that made a model. A run stays as long as the version that it pushed is kept, whatever its age, and as long as a run that
    stays names it in its configuration or began from its model.

    Args:
        workspace: The workspace.
        summaries: All its runs, oldest first.
        keep: How many of the newest runs stay, at least 1.
        before: Only runs that started before this moment go; None sets no such limit.
        name: Only runs of this name go; None cleans all names.
    """
    kept = {run.run_id for run in summaries if run.status == "started" or name not in (None, run.name)}
    for _, group in groupby(sorted(summaries, key=lambda run: run.name), key=lambda run: run.name):
        runs = list(group)
        for evaluated in (True, False):
            kept |= {run.run_id for run in [run for run in runs if (run.metrics is not None) == evaluated][-keep:]}
    if before is not None:
        kept |= {run.run_id for run in summaries if started_at(run, workspace) >= before}
    kept |= _pushing_runs(workspace, summaries)
    needed = {run.warm_start["from"] for run in summaries if run.run_id in kept and run.warm_start}
    return kept | ({run.run_id for run in summaries} & {*needed, *_texts_of_configs(workspace, kept)})


def named_paths(workspace: Path, runs: Collection[str]) -> set[Path]:
    """Returns all that the configurations and the baselines of some runs may name: baselines, schemas, files of embeddings."""
    return {Path(text).absolute().resolve() for text in _texts_of_configs(workspace, runs) if "/" in text and "\0" not in text}


def started_at(run: Summary, workspace: Path) -> datetime:
    """Returns when a run started, by its summary, or else by the name of its folder or by the time of its folder."""
    for text, form in ((run.started, "%Y-%m-%dT%H:%M:%S%z"), (f"{run.run_id[:15]}+0000", "%Y%m%d-%H%M%S%z")):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return datetime.fromtimestamp((workspace / "runs" / run.run_id).stat().st_mtime, UTC)


def _pushing_runs(workspace: Path, summaries: Collection[Summary]) -> set[str]:
    """Returns the runs that pushed the versions which are there. A version of an older release does not say which run that was."""
    found = set()
    for base in workspace.glob("serving/*/"):
        summarised = {run.pushed_version: run.run_id for run in summaries if run.name == base.name and run.status == "pushed"}
        found |= {pushing_run(base, version) or summarised.get(version, "") for version in served_versions(base)}
    return found


def _texts_of_configs(workspace: Path, runs: Collection[str]) -> Iterator[str]:
    """Yields all texts in the configurations of some runs, and the places of their baselines."""
    for run in runs:
        for file, part in ((CONFIG_FILE, None), (SUMMARY_FILE, "baseline")):
            try:
                content = json.loads((workspace / "runs" / run / file).read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError):
                continue
            yield from _texts(content if part is None else content.get(part))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
