"""Reads what the nodes of a run put out into its summary: the model, the evaluation, the verdict and the push."""

import json
from pathlib import Path
from typing import Any

from tfx.utils import path_utils

from components.artifact_types import SCORE_FILE, TRIALS_FILE
from components.atomic_pusher import NOT_CHECKED_KEY, NOT_PUBLISHED_KEY, REFUSED_KEY, UNCHANGED_KEY
from components.base.atomic_files import write_whole
from components.base.errors import InputError
from components.drift.drift_figures import read_figures, warnings
from components.join_lookups import UNMATCHED_KEY
from components.request_examples import READ_KEY
from components.verdict import VERDICT_FILE
from components.window import DEALT_KEY, SPLITS
from din_trainer.trainer import WARM_START_FILE
from pipeline.places import Places
from pipeline.records.metadata_store import RunOutputs
from pipeline.records.summary import Summary
from pipeline.records.tuner_summary import tuner_summary
from pipeline.report.content import EVALUATION_FILE

_NOT_PUBLISHED = 1  # the exit code of a push that the store does not have


def read_outcome(summary: Summary, places: Places, folder: Path) -> None:
    """Fills the summary after the DAG has ended, with or without an exception. What the run did not reach stays null.

    Args:
        summary: It is changed.
        places: The paths of the run.
        folder: The run's own folder: the slices and curves of the evaluation are written there for the report.
    """
    outputs = RunOutputs(places.metadata, summary.run_id)
    model, evaluation = outputs.uri("Trainer", "model"), outputs.uri("Evaluator", "evaluation")
    summary.model_path = path_utils.serving_model_dir(str(model)) if model else None
    summary.tfma_path = str(evaluation) if evaluation else None
    read_spans(summary, outputs)
    model_run = outputs.uri("Trainer", "model_run")
    if model_run and (model_run / WARM_START_FILE).exists():
        summary.warm_start = json.loads((model_run / WARM_START_FILE).read_text())
    if tuned := outputs.uri("Tuner", "tuner_results"):
        summary.tuner = tuner_summary(json.loads((tuned / TRIALS_FILE).read_text()))
    read_drift(summary, outputs)
    for node in ("JoinLookups", *(f"JoinLookups.{span}" for span in summary.span_examples or ())):
        if sentences := outputs.property(node, "joined", UNMATCHED_KEY):
            summary.notes.append(f"{node}: {sentences}")
    blessing = outputs.uri("Verdict", "blessing")
    if blessing is None:
        return
    verdict = json.loads((blessing / VERDICT_FILE).read_text())
    _read_verdict(summary, verdict, places.baseline)
    _read_push(summary, outputs)
    evaluation_details = {name: verdict[name] for name in ("confidence", "replicates", "labels", "slices", "curves", "further_labels")}
    try:
        write_whole(folder / EVALUATION_FILE, [json.dumps(evaluation_details), "\n"])
    except InputError as error:  # what was pushed stays pushed
        summary.notes.append(f"The report lacks the slices: {error}")


def read_spans(summary: Summary, outputs: RunOutputs) -> None:
    """Reads how many impressions of the spans are in each split, and the metrics of the served model on the newest span.

    Impressions that were not dealt out one by one are those of whole spans.
    """
    if summary.spans and summary.span_examples and outputs.uri("Window", "examples"):
        *before, newest = summary.span_examples.values()
        whole = {"train": sum(before[:-1]), "eval": newest if before else 0}
        dealt = {split: int(outputs.property("Window", "examples", f"{DEALT_KEY}{split}") or 0) for split in SPLITS}
        summary.examples = {split: whole.get(split, 0) + dealt[split] for split in SPLITS}
    if scored := outputs.uri("NewDataScore", "score"):
        by_label = json.loads((scored / SCORE_FILE).read_text())
        summary.served_on_new_data = {"version": summary.stable_at_start, **next(iter(by_label.values()))}
        summary.served_on_new_data_by_label = by_label if len(by_label) > 1 else None


def read_drift(summary: Summary, outputs: RunOutputs) -> None:
    """Reads how far the training data is from earlier data and from logged requests, and notes what does not hold without a refusal."""
    if requests := outputs.property("RequestExamples", "examples", READ_KEY):
        summary.notes.append(f"Logged requests: {requests}")
    if figures := outputs.uri("DriftValidator", "figures"):
        summary.drift = read_figures(figures)
        summary.notes += [sentence[0].upper() + sentence[1:] for sentence in warnings(summary.drift)]


def _read_verdict(summary: Summary, verdict: dict[str, Any], baseline: Path | None) -> None:
    summary.blessed, summary.refused_because = verdict["blessed"], verdict["refused_because"]
    summary.thresholds, summary.sameness, summary.loading = verdict["thresholds"], verdict["sameness"], verdict["loading"]
    first, *further = verdict["labels"]
    overall = {first: verdict["slices"][0]["metrics"]}
    overall |= {label: verdict["further_labels"][label]["slices"][0]["metrics"] for label in further}
    summary.metrics, summary.intervals = _each(overall[first], "value"), _intervals(overall[first])
    if further:
        summary.metrics_by_label = {label: _each(metrics, "value") for label, metrics in overall.items()}
        summary.intervals_by_label = {label: _intervals(metrics) for label, metrics in overall.items()}
    if baseline:
        summary.baseline = {
            "version": int(baseline.name) if baseline.name.isdecimal() else None,
            "path": str((baseline / "Format-Serving").resolve()),
            "metrics": _each(overall[first], "baseline"),
            "changes": _each(overall[first], "change"),
        }
        if further:
            _read_baseline_labels(summary, summary.baseline, overall)


def _read_baseline_labels(summary: Summary, baseline: dict[str, Any], overall: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Adds the baseline's figures by label, and notes which labels it does not predict: those are compared with nothing."""
    compared = {label: metrics for label, metrics in overall.items() if any(metric["change"] for metric in metrics.values())}
    baseline["metrics_by_label"] = {label: _each(metrics, "baseline") for label, metrics in compared.items()}
    baseline["changes_by_label"] = {label: _each(metrics, "change") for label, metrics in compared.items()}
    if missing := [label for label in overall if label not in compared]:
        summary.notes.append(f"The baseline does not predict {', '.join(missing)}: there the model is compared with no other.")


def _each(metrics: dict[str, dict[str, Any]], figure: str) -> dict[str, Any]:
    return {name: metric[figure] for name, metric in metrics.items()}


def _intervals(metrics: dict[str, dict[str, Any]]) -> dict[str, list[float | None]]:
    return {name: [metric["low"], metric["high"]] for name, metric in metrics.items()}


def _read_push(summary: Summary, outputs: RunOutputs) -> None:
    def pushed(name: str) -> int | str | None:
        return outputs.property("Pusher", "pushed_model", name)

    if pushed("pushed"):
        summary.pushed_version = int(pushed("pushed_version") or 0)
        summary.pushed_path = str(pushed("pushed_destination"))
        summary.notes += [str(sentence) for key in (NOT_CHECKED_KEY, NOT_PUBLISHED_KEY) if (sentence := pushed(key))]
        summary.end("unchanged" if pushed(UNCHANGED_KEY) else "pushed", None, _NOT_PUBLISHED if pushed(NOT_PUBLISHED_KEY) else None)
    elif not summary.blessed:
        summary.end("refused", summary.refused_because)
    elif refusal := pushed(REFUSED_KEY):
        summary.end("refused", str(refusal))
