"""Runs an earlier run again, without any cache, and compares the metrics to the last digit. Nothing is pushed."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from components.base.errors import InputError
from components.base.scratch_folder import scratch_folder
from components.base.stores import check_store, named_path
from din_trainer.config import of_earlier_release
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.records.run_list import read_summaries
from pipeline.records.summaries_by_label import by_label
from pipeline.records.summary import Summary
from pipeline.records.workspace_lock import locked_workspace
from pipeline.report.content import CONFIG_FILE
from pipeline.run.execution import Run
from pipeline.run.origin import ORIGIN_FILE, Origin, Repeated
from pipeline.run.run_folder import run_folder
from pipeline.terminal import Progress

# What a rerun must not do: compare with a served version or with requests, ask servers, call a program, write to a store or a database.
_ALONE: dict[str, dict[str, Any]] = {
    "evaluation": {"baseline": "served"},  # of an empty workspace
    "serving": {"servers": [], "store": "", "poll_seconds": 0, "push_to": "stable"},
    "notify": {"command": []},
    "metadata": {"url": ""},
}


class Rerun(NamedTuple):
    """How a rerun ended.

    Attributes:
        run_id: The run.
        metrics: Each metric of the run, and that of the rerun; empty if the rerun did not compute them.
        differs: Why they are not the same, or were not computed; empty if they are.
    """

    run_id: str
    metrics: dict[str, tuple[float | None, float | None]]
    differs: list[str]

    def as_json(self) -> dict[str, Any]:
        metrics = {name: {"then": then, "now": now} for name, (then, now) in self.metrics.items()}
        return {"run": self.run_id, "same": not self.differs, "differs": self.differs, "metrics": metrics}


def rerun(workspace: Path, run_id: str, progress: Progress) -> Rerun:
    """Runs a run again in a workspace of its own, which is deleted at the end.

    Args:
        workspace: The workspace of the run.
        run_id: The run.
        progress: Shows the steps.

    Raises:
        InputError: There is no such run, it was not evaluated, or it cannot be run again.
    """
    summary, config, origin = _read(workspace, run_id)
    data = named_path(str(summary.data))
    check_store(data)
    given = None if not data.exists() and data.parent == workspace.absolute() / "data" else data  # None makes the synthetic data again
    if given and not given.exists():
        raise InputError(f"The data of run {run_id} is not in {given} any more: put it there, and start the rerun again.")
    with locked_workspace(workspace), scratch_folder(workspace) as place, run_folder(place / "workspace", config.name) as folder:
        again = Run(config, given, folder, progress, summary.span, Repeated(origin, workspace)).execute()
        now = json.loads((folder / ORIGIN_FILE).read_text()) if (folder / ORIGIN_FILE).exists() else None
    return Rerun(run_id, _pairs(summary, again), _differs(summary, again, config, origin, now))


def _read(workspace: Path, run_id: str) -> tuple[Summary, PipelineConfig, Origin]:
    summary = next((run for run in read_summaries(workspace) if run.run_id == run_id), None)
    if summary is None:
        raise InputError(f"{run_id} is not a run in {workspace}: `din runs` lists the runs.")
    if summary.metrics is None:
        raise InputError(f"Run {run_id} was not evaluated, so there is nothing to compare: name a run of `din runs` that has metrics.")
    folder = workspace / "runs" / run_id
    try:
        values = of_earlier_release(json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")))
        config = PipelineConfig.model_validate(_alone(values, summary))
        origin = Origin.model_validate_json((folder / ORIGIN_FILE).read_bytes())
    except FileNotFoundError as error:
        raise InputError(
            f"Run {run_id} has no {Path(str(error.filename)).name}, because an older release made it: it cannot be run again."
        ) from error
    except (OSError, ValueError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"Run {run_id} cannot be run again, because this release does not read its files ({reason}).") from error
    return summary, config, origin


def _alone(config: dict[str, Any], summary: Summary) -> dict[str, Any]:
    """Returns the configuration of a rerun. A warm start begins from the model from which the run began; the window is the same."""
    start = {"training": {"warm_start": summary.warm_start["from"] if summary.warm_start else "none"}}
    window = {"spans": {"window": PipelineConfig.model_validate(config).spans_read.window}}
    return {**config, **{key: {**config.get(key, {}), **changed} for key, changed in {**_ALONE, **start, **window}.items()}}


def _pairs(then: Summary, now: Summary) -> dict[str, tuple[float | None, float | None]]:
    """The metrics of both runs; those of further labels name their label."""
    if now.metrics is None:
        return {}
    parts, again = by_label(then), by_label(now)
    first = next(iter(parts))
    return {
        name if label == first else f"{name} ({label})": (value, (again[label].metrics or {}).get(name))
        for label, part in parts.items()
        for name, value in (part.metrics or {}).items()
    }


def _differs(then: Summary, now: Summary, config: PipelineConfig, origin: Origin, made_from: dict[str, Any] | None) -> list[str]:
    if now.metrics is None:
        return [str(now.refused_because or "the rerun was interrupted")]
    changed = [name for name, (one, other) in _pairs(then, now).items() if one != other]
    if not changed:
        return []
    sentences = [f"{', '.join(changed)}: not the same, although data, configuration, code and libraries are"]
    if made_from is not None and made_from["machine"] != origin.machine:
        sentences.append(f"the run was made on another machine ({origin.machine}), which may add floats in another order")
    if config.beam.engine != "local":
        sentences.append(f"beam.engine is {config.beam.engine}, where the order of floats in a sum differs from run to run")
    if not config.training.deterministic:
        sentences.append("training.deterministic is false, so weights may differ from run to run: --set training.deterministic=true")
    return sentences
