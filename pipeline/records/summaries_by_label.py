"""Splits the summary of a run by label, so that each label is shown as a run with one label is."""

from typing import Any

from pipeline.records.summary import Summary


def by_label(summary: Summary) -> dict[str, Summary]:
    """Returns the summary of each label by its name, the first label first. With one label its name here is empty: it needs none."""
    if not summary.metrics_by_label:
        return {"": summary}
    first = next(iter(summary.metrics_by_label))
    return {label: summary.model_copy(update=_figures(summary, label, label == first)) for label in summary.metrics_by_label}


def _figures(summary: Summary, label: str, is_first: bool) -> dict[str, Any]:
    rows = summary.thresholds
    return {
        "metrics": (summary.metrics_by_label or {})[label],
        "intervals": (summary.intervals_by_label or {}).get(label),
        "oracle": (summary.oracle_by_label or {}).get(label, summary.oracle if is_first else None),
        "baseline": _baseline(summary.baseline, label),
        "thresholds": None if rows is None else [row for row in rows if row.get("label", "") == ("" if is_first else label)],
    }


def _baseline(baseline: dict[str, Any] | None, label: str) -> dict[str, Any] | None:
    """The baseline with its figures of a label; None if it does not predict the label."""
    if baseline is None or label not in baseline["metrics_by_label"]:
        return None
    return {**baseline, "metrics": baseline["metrics_by_label"][label], "changes": baseline["changes_by_label"][label]}
