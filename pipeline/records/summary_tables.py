"""Prints summaries on the terminal: the metrics, thresholds, verdict and paths of a run, or all runs of a workspace."""

from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from components.evaluation.metrics.catalogue import OVERALL, REPORTED
from pipeline.console import Console
from pipeline.records.predictions_table import predictions_table
from pipeline.records.summaries_by_label import by_label
from pipeline.records.summary import ERROR_STATUSES, Summary
from pipeline.records.tuner_summary import tuner_lines
from pipeline.records.warm_start_text import warm_start_lines


def print_runs(summaries: list[Summary], console: Console) -> None:
    """Prints a table with one line a run, and below it why runs were refused or failed."""
    console.print(_runs_table(summaries))
    for run in summaries:
        if run.refused_because:
            console.print(f"{run.run_id}: {_first_reason(run.refused_because)}", style="dim italic", soft_wrap=True)


def _runs_table(summaries: list[Summary]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0)
    for name in ("run", "time", "data", "AUC", "GAUC", "log loss", "verdict", "version"):
        table.add_column(name, overflow="fold", no_wrap=name not in ("time", "data", "log loss"))
    for run in summaries:
        metrics = run.metrics or {}
        figures = (number(metrics.get(name)) for name in ("auc", "gauc", "log_loss"))
        data = " ".join(part for part in (Path(run.data or "–").name, run.span) if part)
        version = "" if run.status == "unchanged" else str(run.pushed_version or "")
        table.add_row(run.run_id, run.started[:16].replace("T", " "), data, *figures, run.status, version)
    return table


def _first_reason(refused_because: str) -> str:
    first, *others = refused_because.split("; ")
    return f"{first} (and {len(others)} more)" if others else first


def number(value: float | None) -> str:
    """Formats a figure with four decimals; None becomes a dash."""
    return "–" if value is None else f"{value:.4f}"


def share_of_oracle(auc: float | None, oracle: float | None) -> float | None:
    """Returns (AUC − 0.5) / (AUC of the oracle − 0.5); None if there is no oracle, or almost nothing to learn."""
    return None if auc is None or oracle is None or oracle < 0.55 else (auc - 0.5) / (oracle - 0.5)


def _spread(low: float | None, high: float | None) -> str:
    """Formats half the width of an interval; the report has both ends."""
    return "" if low is None or high is None else f" ± {(high - low) / 2:.4f}"


def _change(change: dict[str, float | None] | None) -> str:
    if not change or change["value"] is None:
        return "–"
    return f"{change['value']:+.4f}{_spread(change['low'], change['high'])}"


def _metrics_table(summary: Summary, label: str) -> Table:
    table = Table(title=f"{label or 'eval split'}, {(summary.examples or {}).get('eval', 0):,} impressions", title_justify="left")
    metrics, oracle, baseline = summary.metrics or {}, summary.oracle or {}, summary.baseline
    table.add_column("metric")
    for name in ("model", *(["less baseline"] if baseline else []), *(["oracle"] if oracle else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for metric in (metric for metric in REPORTED if metric in metrics):
        cells = [number(metrics[metric]) + _spread(*(summary.intervals or {}).get(metric, (None, None)))]
        cells += [_change(baseline.get("changes", {}).get(metric))] if baseline else []
        cells += [number(oracle.get(metric))] if oracle else []
        table.add_row(metric, *cells)
    return table


def _threshold_lines(summary: Summary) -> list[str]:
    """Returns one line for each threshold on the whole split, and one that counts those on slices; the verdict names those that fail."""
    overall = [row for row in summary.thresholds or [] if row["slice"] == OVERALL]
    lines = [f"{_judged(row)} {row['rule']}{_confident(row)}: {'ok' if row['passed'] else 'FAILED'}" for row in overall]
    slices = [row for row in summary.thresholds or [] if row["slice"] != OVERALL]
    judged = [row for row in slices if row.get("judged", True)]
    if slices:
        held = sum(row["passed"] for row in judged)
        lines.append(f"{held} of {len(judged)} thresholds on slices hold; {len(slices) - len(judged)} slices have too few impressions")
    return lines


def _judged(row: dict[str, Any]) -> str:
    return f"{row['metric']} ({row['label']})" if "label" in row else row["metric"]


def _confident(row: dict[str, Any]) -> str:
    return " with confidence" if row.get("confident") else ""


_SLICE_METRICS = ("auc", "gauc")
_MIN_IMPRESSIONS = 100  # smaller slices are only in the report


def _slices_table(slices: list[dict[str, Any]], label: str) -> Table:
    """Returns a table of the larger slices with some of their metrics; the report has all slices and metrics."""
    shown = [row for row in slices if row["examples"] >= _MIN_IMPRESSIONS]
    rest = len(slices) - len(shown)
    table = Table(
        title=f"{label}: slices" if label else "slices",
        title_justify="left",
        caption=f"{rest} with fewer than {_MIN_IMPRESSIONS} impressions are in the report" if rest else None,
    )
    table.add_column("slice", overflow="fold")
    for name in ("impressions", *_SLICE_METRICS):
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for row in shown:
        found = [row["metrics"].get(name) for name in _SLICE_METRICS]
        cells = [number(metric["value"]) + _spread(metric["low"], metric["high"]) if metric else "–" for metric in found]
        table.add_row(row["slice"], f"{row['examples']:,}", *cells)
    return table


def _serving_lines(summary: Summary) -> list[str]:
    """Returns what was measured on the export: how far its scores are from the trained model's, its latency and its memory."""
    lines = []
    if summary.sameness and summary.sameness["largest_difference"] is not None:
        scores = f"{summary.sameness['examples']} scores of the export"
        lines.append(f"{scores}: at most {summary.sameness['largest_difference']:.1e} off the trained model's")
    if summary.loading and summary.loading.get("latency_ms"):
        took = ", ".join(f"{name} {figures['p50']:.2f} ms" for name, figures in summary.loading["latency_ms"].items())
        lines.append(f"in {summary.loading['how']}: {took} (p50, batch 1); {summary.loading['memory_mb']:.0f} MB")
    return lines


def _verdict(summary: Summary) -> str:
    reason = summary.refused_because or ""
    return {
        "started": "The run goes on.",
        "pushed": f"Pushed: version {summary.pushed_version} is ready for TF Serving.",
        "unchanged": f"Unchanged: version {summary.pushed_version} already serves these very weights.",
        "refused": f"Refused, nothing was pushed: {reason}",
        "interrupted": "Interrupted: the next run goes on from what is done.",
        "data_refused": f"Data refused: {reason}",
        "failed": f"Failed: {reason}",
        "killed": f"Killed: {reason}",
    }[summary.status]


def _from_here(path: Path) -> Path:
    """Returns the path relative to the working directory if it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _span_lines(summary: Summary) -> list[str]:
    """Returns which spans were read, and how the model that was served did on the newest one before the training."""
    if not summary.spans:
        return []
    learnt: list[str] = summary.spans["train"]
    lines = [f"training on {' … '.join(dict.fromkeys((learnt[0], learnt[-1])))}, evaluation on {summary.span}"]
    if served := summary.served_on_new_data:
        figures = ", ".join(f"{name} {number(value)}" for name, value in served.items() if name != "version")
        lines.append(f"before the training, version {served['version']} had on {summary.span}: {figures}")
    return lines


def _print_metrics(summary: Summary, console: Console) -> None:
    for line in [*_span_lines(summary), *warm_start_lines(summary.warm_start), *tuner_lines(summary.tuner)]:
        console.print(f"  {line}", soft_wrap=True)
    if not summary.metrics:
        return
    labels = by_label(summary)
    for label, part in labels.items():
        console.print(_metrics_table(part, label))
    for line in _threshold_lines(summary):
        console.print(f"  {line}")
    for line in _serving_lines(summary):
        console.print(f"  {line}", soft_wrap=True)
    for label, part in labels.items():
        share = share_of_oracle((part.metrics or {}).get("auc"), (part.oracle or {}).get("auc"))
        if share is not None:
            console.print(f"{label and f'{label}: '}AUC lift: {share:.1%} of the oracle's, the most that any model can expect.")


def print_evaluation(summary: Summary, evaluation: dict[str, Any] | None, console: Console) -> None:
    """Prints the metrics, the slices and the verdict."""
    _print_metrics(summary, console)
    if evaluation:
        first, *further = evaluation.get("labels") or [""]
        console.print(_slices_table(evaluation["slices"], first if further else ""))
        for label in further:
            console.print(_slices_table(evaluation["further_labels"][label]["slices"], label))
    console.print(_verdict(summary), soft_wrap=True)


def print_summary(summary: Summary, console: Console) -> None:
    """Prints the metrics beside thresholds, oracle and baseline, the verdict in words, and the paths."""
    console.print()
    _print_metrics(summary, console)
    if summary.sample_predictions:
        console.print(predictions_table(summary.sample_predictions, console))
    if summary.status not in ERROR_STATUSES:
        style = "bold green" if summary.exit_code == 0 else "bold red"
        console.print(_verdict(summary), style=style, soft_wrap=True)
    for note in summary.notes:
        console.print(note, style="yellow", soft_wrap=True)
    for label, path in (
        ("model", summary.pushed_path or summary.model_path),
        ("TFMA result", summary.tfma_path),
        ("schema", summary.schema_path),
        ("report", summary.report_path),
        ("log", summary.log_path),
    ):
        if path:
            console.print(f"  {label:<17}{_from_here(Path(path))}", soft_wrap=True)
