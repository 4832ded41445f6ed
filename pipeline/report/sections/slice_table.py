"""Prepares the table of slices for `page.js`, which sorts and filters it."""

from typing import Any

from components.evaluation.metrics.catalogue import METRICS, OVERALL, REPORTED
from pipeline.report.text_format import metric_name, short

_MOST = 300  # slices that a page shows: the page must stay small


def slice_table(slices: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the largest slices, with rounded figures.

    Args:
        slices: The slices of an evaluation.

    Returns:
        `metrics`: those that some slice has. `rows`: the slices, with `[value, low, high, baseline, change, low, high]` by metric. `total`:
        the number of all slices.
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
