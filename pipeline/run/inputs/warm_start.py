"""Finds the model that `training.warm_start` names, before the run computes anything."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from components.base.errors import InputError
from components.base.fingerprint import file_fingerprint
from components.base.stores import named_path
from components.serving.store.versions import pushing_run, served_versions
from din_trainer.trainer import KERAS_FILE
from din_trainer.transform.scales import read_scales, scaled_names
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.configuration.start_model import Start
from pipeline.datasets.spans import find_spans, span_number
from pipeline.records.metadata_store import RunOutputs
from pipeline.records.run_list import METADATA_FILE, read_summaries
from pipeline.records.summary import Summary
from pipeline.run.inputs.baseline import sound_version

_COLD = "Or train from random weights with --set training.warm_start=none."


class Found(NamedTuple):
    """The start of a run.

    Attributes:
        start: The model to start from; None starts from random weights.
        notes: Sentences on it that the user should read.
    """

    start: Start | None
    notes: list[str]


def find_start(config: PipelineConfig, workspace: Path, summary: Summary) -> Found:
    """Finds the start model of a run.

    `served` is the version that is labelled stable. If that version has learnt from this very data, or from a later span, the start is the
    one from which it was trained itself, and so on: a run that is repeated starts where it started before.

    Args:
        config: The configuration of the run.
        workspace: The workspace.
        summary: Of the run, with its data and its spans.

    Raises:
        InputError: There is no such version or run, or its model was deleted.
    """
    choice, runs = config.training.warm_start, {run.run_id: run for run in read_summaries(workspace)}
    if choice == "none":
        return Found(None, [])
    if choice == "served":
        run = _served_run(workspace / "serving" / config.name)
        if run is None:
            return Found(None, ["training.warm_start is 'served', but nothing is served yet: the training started from random weights."])
        before = _before_this_data(run, summary, runs)
        notes = [f"The served model of run {run} has learnt from this data or from later data: the training started where it did."]
        if before is None:
            return Found(None, notes)
        notes = notes if before != run else []
        return Found(_start(config, workspace, before, summary, runs), [*notes, *_not_learnt(runs.get(before), summary)])
    if choice.isdecimal():
        run = _run_of_version(workspace / "serving" / config.name, int(choice))
    elif choice in runs:
        run = choice
    else:
        raise InputError(f"training.warm_start is {choice!r}, but {workspace} has no such run: `din runs` lists the runs. {_COLD}")
    notes = [*_learnt_before(runs.get(run), summary), *_not_learnt(runs.get(run), summary)]
    return Found(_start(config, workspace, run, summary, runs), notes)


def _served_run(serving: Path) -> str | None:
    """The run that pushed the stable version; None if nothing is served."""
    version = sound_version(serving)
    return None if version is None else _run_of_version(serving, version)


def _run_of_version(serving: Path, version: int) -> str:
    if version not in (versions := served_versions(serving)):
        there = ", ".join(map(str, versions)) or "none"
        raise InputError(f"training.warm_start is {version}, but {serving} has no such version: it can be {there}.")
    if run := pushing_run(serving, version):
        return run
    raise InputError(f"{serving / str(version)} does not say which run pushed it, so no training can start from it: name a run. {_COLD}")


def _before_this_data(run: str, summary: Summary, runs: Mapping[str, Summary]) -> str | None:
    """Goes back from a run to one that has not seen the data of this run; None if that training started from random weights."""
    seen: set[str] = set()
    while (known := runs.get(run)) and _has_learnt(known, summary) and run not in seen:
        seen.add(run)
        if not known.warm_start:
            return None
        run = known.warm_start["from"]
    return run


def _has_learnt(known: Summary, summary: Summary) -> bool:
    """Whether the model of a run has learnt from the data of this run, or from later spans."""
    learnt, now = _newest_learnt(known), _newest_learnt(summary)
    if learnt is not None and now is not None:
        return learnt >= now
    return known.data_fingerprint is not None and known.data_fingerprint == summary.data_fingerprint


def _learnt_before(start: Summary | None, summary: Summary) -> list[str]:
    """A sentence if a start model that the configuration names has learnt from the data of this run."""
    if start is None or not _has_learnt(start, summary):
        return []
    who = f"Run {start.run_id}, where the training started, has learnt from"
    if not start.spans or not summary.spans or not summary.span:
        return [f"{who} this data already."]
    if span_number(start.spans["train"][-1]) >= span_number(summary.span):
        return [f"{who} {summary.span} or later data: on this span the metrics are better than on a new one."]
    return [f"{who} {summary.spans['train'][-1]} or later data already."]


def _not_learnt(start: Summary | None, summary: Summary) -> list[str]:
    """A sentence on the spans that neither the start model nor this run learns from, as after a refused model or a rollback."""
    before = _newest_learnt(start) if start else None
    if before is None or not summary.spans or not summary.span:
        return []
    first = span_number(summary.spans["train"][0])
    between = [span.name for span in find_spans(named_path(str(summary.data))) if before < span.number < first]
    window = span_number(summary.span) - before - 1
    advice = f"--window {window} trains on all spans since then."
    return [f"Neither the start model nor this run learns from {', '.join(between)}: {advice}"] if between else []


def _newest_learnt(summary: Summary) -> int | None:
    """The number of the newest span that a run trains on; None in a run without spans."""
    return None if not summary.spans else span_number(summary.spans["train"][-1])


def _start(config: PipelineConfig, workspace: Path, run: str, summary: Summary, runs: Mapping[str, Summary]) -> Start:
    outputs = RunOutputs(workspace / METADATA_FILE, run)
    folders = [outputs.uri("Trainer", "model_run"), outputs.uri("Transform", "transform_graph")]
    model_run, transform_graph = (folder if folder and folder.exists() else None for folder in folders)
    if model_run is None or transform_graph is None or not (model_run / KERAS_FILE).exists():
        raise InputError(f"Run {run} has no trained model, or it was deleted, so no training can start from it: name another run. {_COLD}")
    names = scaled_names(config.features)
    return Start(
        run=run,
        model_file=model_run / KERAS_FILE,
        transform_graph=transform_graph,
        fingerprint=file_fingerprint(str(model_run / KERAS_FILE)),
        elapsed=_elapsed(runs.get(run), summary),
        scales=read_scales(transform_graph, names) if names else {},
    )


def _elapsed(start: Summary | None, summary: Summary) -> int:
    """How many spans lie between what the start model has learnt from and what this run learns from; 1 where there are no spans."""
    before, now = _newest_learnt(start) if start else None, _newest_learnt(summary)
    return 1 if before is None or now is None else max(now - before, 1)
