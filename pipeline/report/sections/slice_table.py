"""The slices as data for the page's script, which sorts and filters them."""

from typing import Any

from components.evaluation.metrics.catalogue import METRICS, OVERALL, REPORTED
from pipeline.report.text_format import metric_name, short

_MOST = 300  # slices on a page: it must stay small


def slice_table(slices: list[dict[str, Any]]) -> dict[str, Any]:
    """The largest slices, rounded, for `page.js`.

    Args:
        slices: Of an evaluation.

    Returns:
        `metrics` are those that any slice has; `rows` have `[value, low, high, baseline, change, low, high]` by metric.
    """
    shown = sorted(slices, key=lambda entry: (bool(entry["key"]), -entry["examples"]))[:_MOST]
    known = [name for name in REPORTED if any(_value(entry, name) is not None for entry in shown)]
    return {
        "metrics": [{"metric": name, "name": metric_name(name), "better": METRICS[name].better} for name in known],
        "rows": [_row(entry, known) for entry in shown],
        "total": len(slices),
    }


def _row(entry: dict[str, Any], metrics: list[str]) -> dict[str, Any]:
    values = {name: _figures(entry["metrics"][name]) for name in metrics if _value(entry, name) is not None}
    counts = {name: entry.get(name) for name in ("examples", "clicks", "users")}
    return {
        "slice": ", ".join(f"{short(feature)} = {short(value)}" for feature, value in entry["key"]) or OVERALL,
        **counts,
        "values": values,
    }


def _figures(estimate: dict[str, Any]) -> list[float | None]:
    change = estimate["change"] or {}
    figures = [*(estimate[name] for name in ("value", "low", "high", "baseline")), *(change.get(name) for name in ("value", "low", "high"))]
    return [None if figure is None else round(figure, 6) for figure in figures]


def _value(entry: dict[str, Any], metric: str) -> float | None:
    return (entry["metrics"].get(metric) or {}).get("value")
