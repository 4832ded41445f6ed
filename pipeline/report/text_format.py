"""Formats numbers, names of metrics and verdicts as text for people."""

import json
from datetime import datetime
from typing import Any, NamedTuple

from pipeline.terminal import printable

_LONGEST = 80  # characters that are shown of a value


class MetricText(NamedTuple):
    """The name of a metric, and what the metric means."""

    name: str
    meaning: str


METRIC_TEXTS = {
    "auc": MetricText("AUC", "chance that a clicked impression has a higher score than one that was not clicked"),
    "gauc": MetricText("GAUC", "AUC within each user's impressions, weighted by their number"),
    "one_class_users": MetricText("One-class users", "share of users that GAUC skips: they clicked all of their impressions, or none"),
    "pr_auc": MetricText("PR-AUC", "area under the curve of precision by recall"),
    "log_loss": MetricText("Log loss", "lower is better"),
    "normalized_entropy": MetricText("Normalised entropy", "log loss divided by that of always predicting the click rate; lower is better"),
    "calibration": MetricText("Calibration", "predicted clicks divided by observed clicks; 1 is best"),
    "calibration_error": MetricText("Calibration error", "mean distance between predicted and observed click rate; lower is better"),
    "accuracy": MetricText("Accuracy", "share of impressions with the score on the right side of 0.5"),
    "ndcg_10": MetricText("NDCG@10", "quality of the ranking within a request, from 0 to 1"),
    "mrr": MetricText("MRR", "mean reciprocal rank of the first click in a request"),
}

VERDICTS = {
    "pushed": "Pushed",
    "unchanged": "Unchanged",
    "refused": "Refused",
    "data_refused": "Data refused",
    "failed": "Failed",
    "interrupted": "Interrupted",
    "killed": "Killed",
    "started": "Running",
}


def metric_name(metric: str, label: str = "") -> str:
    """Returns the name of a metric for people, with the label that it is of, if there are several."""
    name = METRIC_TEXTS[metric].name if metric in METRIC_TEXTS else metric.replace("_", " ").capitalize()
    return f"{name} ({label})" if label else name


def metric_meaning(metric: str) -> str:
    """Returns what a metric means; an empty text if it is not known."""
    return METRIC_TEXTS[metric].meaning if metric in METRIC_TEXTS else ""


def verdict_reasons(summary: dict[str, Any]) -> list[str]:
    """Returns what happened to the model, or each reason why it was not pushed."""
    version = summary["pushed_version"]
    known = {
        "pushed": f"Version {version} is ready for TF Serving.",
        "unchanged": f"Version {version} already serves the same weights.",
        "interrupted": "The next run continues where this one stopped.",
        "started": "The run goes on.",
    }
    return (known.get(summary["status"]) or summary["refused_because"] or "No reason was recorded.").split("; ")


def number(value: float | None, digits: int = 4) -> str:
    """Returns a number with four decimals; a dash for None."""
    return "–" if value is None else f"{value:,.{digits}f}"


def compact(value: float | None) -> str:
    """Returns a number with four significant digits; a dash for None."""
    return "–" if value is None else f"{value:,.4g}".replace("-", "−")


def signed(value: float | None) -> str:
    """Returns a number with its sign and four decimals; a dash for None."""
    return "–" if value is None else f"{value:+.4f}".replace("-", "−")


def count(value: int | None) -> str:
    """Returns a count with commas between thousands; a dash for None."""
    return "–" if value is None else f"{value:,}"


def share(value: float | None) -> str:
    """Returns a share in percent; a dash for None."""
    return "–" if value is None else f"{value:.1%}"


def size(count: int | None) -> str:
    """Returns a number of bytes in a suitable unit; a dash for None."""
    if count is None:
        return "–"
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"


def interval(low: float | None, high: float | None) -> str:
    """Returns an interval such as `0.7700 to 0.7900`; an empty text if a bound is None."""
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def signed_interval(low: float | None, high: float | None) -> str:
    """Returns what `interval` does, with signs."""
    return "" if low is None or high is None else f"{signed(low)} to {signed(high)}"


def when(started: str) -> str:
    """Returns an ISO time without its seconds; a dash if it is not a time."""
    try:
        return f"{datetime.fromisoformat(started):%Y-%m-%d %H:%M}"
    except ValueError:
        return "–"


def short(value: Any) -> str:
    """Returns a value of the data as text, with its control characters escaped. Long texts are shortened."""
    text = printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
