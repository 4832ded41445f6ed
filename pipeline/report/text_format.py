"""How figures, metrics and verdicts are put into words."""

import json
from datetime import datetime
from typing import Any, NamedTuple

_LONGEST = 80  # characters of a value that are shown


class Words(NamedTuple):
    """Of a metric: its name, and what it says."""

    name: str
    meaning: str


METRIC_WORDS = {
    "auc": Words("AUC", "chance that a clicked impression scores above one that was not"),
    "gauc": Words("GAUC", "AUC within each user's impressions, averaged by impressions"),
    "one_class_users": Words("One-class users", "share of users that GAUC skips: all of theirs clicked, or none"),
    "pr_auc": Words("PR-AUC", "area under precision by recall"),
    "log_loss": Words("Log loss", "lower is better"),
    "normalized_entropy": Words("Normalised entropy", "log loss over that of the click rate alone; lower is better"),
    "calibration": Words("Calibration", "clicks predicted over clicks observed; 1 is best"),
    "calibration_error": Words("Calibration error", "mean distance of predicted from observed rate; lower is better"),
    "accuracy": Words("Accuracy", "share on the right side of 0.5"),
    "ndcg_10": Words("NDCG@10", "ranking within requests"),
    "mrr": Words("MRR", "mean reciprocal rank of the first click of a request"),
}

VERDICTS = {
    "pushed": "Pushed",
    "unchanged": "Unchanged",
    "refused": "Refused",
    "data_refused": "Data refused",
    "failed": "Failed",
    "interrupted": "Interrupted",
}


def metric_name(metric: str) -> str:
    return METRIC_WORDS[metric].name if metric in METRIC_WORDS else metric.replace("_", " ").capitalize()


def metric_meaning(metric: str) -> str:
    return METRIC_WORDS[metric].meaning if metric in METRIC_WORDS else ""


def verdict_reasons(summary: dict[str, Any]) -> list[str]:
    """What became of the model, or each reason why nothing was pushed."""
    version = summary["pushed_version"]
    known = {
        "pushed": f"Version {version} is ready for TF Serving.",
        "unchanged": f"Version {version} already serves these very weights.",
        "interrupted": "The next run goes on from what is done.",
    }
    return (known.get(summary["status"]) or summary["refused_because"] or "No reason was recorded.").split("; ")


def number(value: float | None, digits: int = 4) -> str:
    """Four decimals, or a dash where there is no figure."""
    return "–" if value is None else f"{value:,.{digits}f}"


def compact(value: float | None) -> str:
    """Four significant digits, or a dash."""
    return "–" if value is None else f"{value:,.4g}".replace("-", "−")


def signed(value: float | None) -> str:
    """Four decimals with their sign, or a dash."""
    return "–" if value is None else f"{value:+.4f}".replace("-", "−")


def count(value: int | None) -> str:
    """With thousands apart, or a dash."""
    return "–" if value is None else f"{value:,}"


def share(value: float | None) -> str:
    """In percent, or a dash."""
    return "–" if value is None else f"{value:.1%}"


def size(count: int | None) -> str:
    """Bytes, in the unit that suits them."""
    if count is None:
        return "–"
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"


def interval(low: float | None, high: float | None) -> str:
    """`0.77 to 0.79`, or nothing."""
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def signed_interval(low: float | None, high: float | None) -> str:
    """As `interval`, with signs."""
    return "" if low is None or high is None else f"{signed(low)} to {signed(high)}"


def when(started: str) -> str:
    """An ISO time to the minute."""
    try:
        return f"{datetime.fromisoformat(started):%Y-%m-%d %H:%M}"
    except ValueError:
        return "–"


def short(value: Any) -> str:
    """A value of the data as text, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
