"""The last run in Prometheus' text format, for the textfile collector of node_exporter: `<workspace>/metrics.prom`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from components.base.errors import InputError
from pipeline.records.summary import Status, Summary

METRICS_FILE = "metrics.prom"


def write_metrics_file(summary: Summary, workspace: Path) -> None:
    """Writes the file, whole or not at all. It holds the last run alone, whatever its name.

    Args:
        summary: Of a run that has ended.
        workspace: The folder to write to.

    Raises:
        InputError: The file cannot be written.
    """
    file = workspace / METRICS_FILE
    try:
        write_to_textfile(str(file), _registry(summary))
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror}): free some space, or change its permissions.") from error


def _registry(summary: Summary) -> CollectorRegistry:
    registry = CollectorRegistry()
    _gauge(registry, summary, "din_run_status", "1 for how the last run ended, 0 for the other ways.", "status", _statuses(summary))
    _gauge(registry, summary, "din_run_exit_code", "The exit status of din run.", None, {"": summary.exit_code})
    _gauge(registry, summary, "din_run_end_time_seconds", "When the last run ended, in seconds since 1970.", None, {"": _now()})
    seconds = summary.seconds or {}
    _gauge(registry, summary, "din_run_seconds", "Wall seconds of the last run.", None, {"": seconds.get("total")})
    steps = seconds.get("components", {})
    _gauge(registry, summary, "din_run_step_seconds", "Wall seconds of each step.", "step", steps)
    _gauge(registry, summary, "din_run_impressions", "Impressions of the data.", "split", summary.examples or {})
    metrics, baseline = summary.metrics, summary.baseline or {}
    _metric_gauge(registry, summary, "din_run_metric", "A metric of the trained model on eval.", metrics, summary.metrics_by_label)
    compared = baseline.get("metrics"), baseline.get("metrics_by_label")
    _metric_gauge(registry, summary, "din_run_baseline_metric", "The same metric of the baseline.", *compared)
    served = {name: value for name, value in (summary.served_on_new_data or {}).items() if name != "version"}
    meaning = "The same metric of the model served before, on new data."
    _metric_gauge(registry, summary, "din_run_served_metric", meaning, served, summary.served_on_new_data_by_label)
    oracle = summary.oracle, summary.oracle_by_label
    _metric_gauge(registry, summary, "din_run_oracle_metric", "The best that any model can expect.", *oracle)
    _gauge(registry, summary, "din_run_pushed_version", "The version that is served after the run.", None, {"": summary.pushed_version})
    return registry


def _metric_gauge(
    registry: CollectorRegistry,
    summary: Summary,
    name: str,
    meaning: str,
    first: Mapping[str, float | None] | None,
    by_label: Mapping[str, Mapping[str, float | None]] | None,
) -> None:
    """Adds a gauge of metrics. Those of further labels have the dimension `label`; those of the first have none, as with one label."""
    labels = {"": first or {}, **dict(list((by_label or {}).items())[1:])}
    values = {(metric, label): value for label, metrics in labels.items() for metric, value in metrics.items() if value is not None}
    if values:
        further = len(labels) > 1
        gauge = Gauge(name, meaning, ["name", "metric", *(["label"] if further else [])], registry=registry)
        for (metric, label), value in values.items():
            gauge.labels(summary.name, metric, *([label] if further else [])).set(value)


def _gauge(registry: CollectorRegistry, summary: Summary, name: str, meaning: str, label: str | None, values: Mapping[str, Any]) -> None:
    """Adds a gauge with a value for each label. A figure that the run did not reach has no line."""
    known = {key: value for key, value in values.items() if value is not None}
    if known:
        gauge = Gauge(name, meaning, ["name", *([label] if label else [])], registry=registry)
        for key, value in known.items():
            gauge.labels(summary.name, *([key] if label else [])).set(value)


def _statuses(summary: Summary) -> dict[str, int]:
    return {status: int(status == summary.status) for status in get_args(Status) if status not in ("started", "killed")}


def _now() -> float:
    return datetime.now(UTC).timestamp()
