"""Reads what a report shows from the files of the runs in a workspace."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.base.errors import InputError
from din_trainer.tuning.search_space import put_values
from pipeline.records.run_list import read_summaries
from pipeline.records.summary import Summary

EVALUATION_FILE, CONFIG_FILE, DETAILS_FILE, REPORT_FILE = "evaluation.json", "config.json", "details.json", "report.html"
_OF_A_PAST_RUN = (
    "run_id",
    "started",
    "data",
    "metrics",
    "status",
    "refused_because",
    "pushed_version",
    "span",
    "served_on_new_data",
    "oracle",
)


@dataclass(frozen=True)
class Content:
    """What is known of a run, as plain JSON without NaN. What the run did not reach is null.

    Attributes:
        summary: The content of `summary.json`.
        evaluation: The slices with their intervals, and the curves.
        config: The resolved configuration, with the values that a search has found.
        details: `attention`, `importance`, `training`, `tuning`, `data` and `card`.
        history: The runs with the same name, this one included, oldest first.
    """

    summary: dict[str, Any]
    evaluation: dict[str, Any] | None
    config: dict[str, Any] | None
    details: dict[str, Any]
    history: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def read_content(run_folder: Path, workspace: Path) -> Content:
    """Reads everything that is known of a run.

    Args:
        run_folder: The folder of the run.
        workspace: The workspace of the run.

    Raises:
        InputError: There is no such run in the workspace, or one of its files cannot be read.
    """
    summaries = read_summaries(workspace)
    summary = next((summary for summary in summaries if summary.run_id == run_folder.name), None)
    if summary is None:
        raise InputError(f"{run_folder.name} is not a run in {workspace}: `din runs` lists the runs.")
    return Content(
        summary=summary.as_json(),
        evaluation=_read(run_folder / EVALUATION_FILE),
        config=_trained_with(_read(run_folder / CONFIG_FILE), summary.tuner),
        details=_read(run_folder / DETAILS_FILE) or {},
        history=[_past(run) for run in summaries if run.name == summary.name],
    )


def latest_evaluated(workspace: Path) -> str:
    """Returns the id of the last run that has metrics.

    Raises:
        InputError: No run has metrics.
    """
    evaluated = [summary.run_id for summary in read_summaries(workspace) if summary.metrics]
    if not evaluated:
        raise InputError(f"{workspace} has no run that was evaluated: start one with `din run`, or name a run of `din runs` with --run.")
    return evaluated[-1]


def _trained_with(config: dict[str, Any] | None, tuner: dict[str, Any] | None) -> dict[str, Any] | None:
    return put_values(config, tuner["values"]) if config and tuner else config


def _past(summary: Summary) -> dict[str, Any]:
    run = summary.as_json()
    return {name: run[name] for name in _OF_A_PAST_RUN}


def _read(path: Path) -> dict[str, Any] | None:
    """Reads a JSON file, with NaN and infinities as null. Returns None if there is no such file."""
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): delete it, or run again.") from error
