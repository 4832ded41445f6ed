"""Makes the rows of the metrics table: the metrics of the whole eval split with intervals, baseline, oracle and thresholds."""

from typing import Any

from components.evaluation.metrics.catalogue import METRICS, OVERALL, REPORTED
from pipeline.report.content import Content
from pipeline.report.text_format import metric_meaning, metric_name


def overall(content: Content) -> dict[str, dict[str, Any]]:
    """Returns the estimates by metric: those of the evaluation. Without an evaluation they come from the summary and have no intervals."""
    slices = (content.evaluation or {}).get("slices") or []
    found = next((entry["metrics"] for entry in slices if not entry["key"]), None)
    if found is not None:
        return found
    model = content.summary["metrics"] or {}
    baseline = (content.summary["baseline"] or {}).get("metrics") or {}
    return {name: estimate(value, baseline.get(name)) for name, value in model.items()}


def estimate(value: float | None, baseline: float | None) -> dict[str, Any]:
    """Returns an estimate without intervals."""
    change = None if value is None or baseline is None else {"value": value - baseline, "low": None, "high": None}
    return {"value": value, "low": None, "high": None, "baseline": baseline, "change": change}


def metric_rows(content: Content) -> list[dict[str, Any]]:
    """Returns a row for each metric that has a value or an oracle's value, in the order of reports."""
    estimates, oracle, thresholds = overall(content), content.summary["oracle"] or {}, content.summary["thresholds"] or []
    rows = []
    for name in REPORTED:
        row = estimates.get(name) or estimate(None, None)
        if row["value"] is None and oracle.get(name) is None:
            continue
        gates = [gate for gate in thresholds if gate["metric"] == name and gate["slice"] == OVERALL]
        texts = {"metric": name, "name": metric_name(name), "meaning": metric_meaning(name)}
        rows.append({**row, **texts, "oracle": oracle.get(name), "gates": gates, "trend": trend(name, row["change"])})
    return rows


def trend(metric: str, change: dict[str, Any] | None) -> str:
    """Returns `better` or `worse` if the whole interval of a change lies on one side of 0, else an empty text."""
    better = METRICS[metric].better if metric in METRICS else None
    if better is None or change is None or change["low"] is None or change["high"] is None:
        return ""
    if change["low"] > 0:
        return "better" if better == "higher" else "worse"
    if change["high"] < 0:
        return "worse" if better == "higher" else "better"
    return ""
