"""Prepares the table of slices for `page.js`, which sorts and filters it."""

from typing import Any

from components.evaluation.metrics.catalogue import METRICS, OVERALL, REPORTED
from pipeline.report.text_format import metric_name, short

_MOST = 300  # slices that a page shows: the page must stay small


def slice_table(labels: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Returns the largest slices, with rounded figures.

    Args:
        labels: The slices of an evaluation by label, the first label first. All labels have the same slices. One label needs no name.

    Returns:
        `metrics`: those that some slice has, of each label. `rows`: the slices, with `[value, low, high, baseline, change, low, high]` by
        label and metric, and the clicks by label. `total`: the number of all slices.
    """
    slices = next(iter(labels.values()))
    shown = sorted(slices, key=lambda entry: (bool(entry["key"]), -entry["examples"]))[:_MOST]
    entries = {label: {entry["slice"]: entry for entry in part} for label, part in labels.items()}
    known = {
        label: [name for name in REPORTED if any(_value(entry, name) is not None for entry in part.values())]
        for label, part in entries.items()
    }
    return {
        "metrics": [
            {"metric": name, "label": label, "name": metric_name(name, label), "better": METRICS[name].better}
            for label, names in known.items()
            for name in names
        ],
        "rows": [_row(entry, {label: part.get(entry["slice"], _NOTHING) for label, part in entries.items()}, known) for entry in shown],
        "total": len(slices),
    }


_NOTHING: dict[str, Any] = {"metrics": {}, "clicks": None}


def _row(entry: dict[str, Any], labels: dict[str, dict[str, Any]], known: dict[str, list[str]]) -> dict[str, Any]:
    """Returns the row of a slice, from its entries by label."""
    values = {
        label: {name: _figures(one["metrics"][name]) for name in known[label] if _value(one, name) is not None}
        for label, one in labels.items()
    }
    return {
        "slice": ", ".join(f"{short(feature)} = {short(value)}" for feature, value in entry["key"]) or OVERALL,
        "examples": entry.get("examples"),
        "users": entry.get("users"),
        "clicks": {label: one.get("clicks") for label, one in labels.items()},
        "values": values,
    }


def _figures(estimate: dict[str, Any]) -> list[float | None]:
    change = estimate["change"] or {}
    figures = [*(estimate[name] for name in ("value", "low", "high", "baseline")), *(change.get(name) for name in ("value", "low", "high"))]
    return [None if figure is None else round(figure, 6) for figure in figures]


def _value(entry: dict[str, Any], metric: str) -> float | None:
    return (entry["metrics"].get(metric) or {}).get("value")
