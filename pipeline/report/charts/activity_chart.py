"""The chart of GAUC by user activity: the number of a user's impressions in the training data."""

import re
from typing import Any

from components.evaluation.metrics.catalogue import USER_ACTIVITY
from pipeline.report.charts.chart_style import COLOURS, MUTED, Chart, axis, layout, plain
from pipeline.report.text_format import number

_CHANCE = 0.5  # the AUC of random scores


def activity_chart(slices: list[dict[str, Any]], label: str = "") -> Chart | None:
    """Returns bars that start at chance, with their intervals and marks for the baseline; None if no slice is by user activity alone.

    Args:
        slices: The slices of an evaluation.
        label: What is predicted, if there are several labels.
    """
    groups = [
        (entry["key"][0][1], entry["examples"], entry["metrics"]["gauc"])
        for entry in slices
        if [feature for feature, _ in entry["key"]] == [USER_ACTIVITY] and (entry["metrics"].get("gauc") or {}).get("value") is not None
    ]
    if not groups:
        return None
    groups.sort(key=lambda group: [int(part) for part in re.findall(r"\d+", str(group[0]))])
    names = [plain(name) for name, _, _ in groups]
    gaucs = [gauc for _, _, gauc in groups]
    texts = [f"{number(gauc['value'])}<br>{examples:,} impressions" for _, examples, gauc in groups]
    traces = [_bars(names, gaucs, texts), *_baseline(names, gaucs)]
    name, title = (f"activity-{label}", f"GAUC ({label})") if label else ("activity", "GAUC")
    described = "; ".join(f"{bucket}: {number(gauc['value'])}" for bucket, _, gauc in groups)
    return Chart(
        name,
        f"{title} by impressions in training",
        f"{title} by how many impressions users have in training. {described}.",
        {"data": traces, "layout": layout(axis("impressions of the user in training", type="category"), axis("GAUC"), bargap=0.4)},
    )


def _bars(names: list[str], gaucs: list[dict[str, Any]], texts: list[str]) -> dict[str, Any]:
    up = [None if gauc["high"] is None else gauc["high"] - gauc["value"] for gauc in gaucs]
    down = [None if gauc["low"] is None else gauc["value"] - gauc["low"] for gauc in gaucs]
    return {
        "type": "bar",
        "name": "this model",
        "x": names,
        "y": [gauc["value"] - _CHANCE for gauc in gaucs],
        "base": _CHANCE,
        "marker": {"color": COLOURS[0]},
        "error_y": {"type": "data", "symmetric": False, "color": MUTED, "array": up, "arrayminus": down},
        "text": texts,
        "textposition": "none",
        "hovertemplate": "%{text}",
    }


def _baseline(names: list[str], gaucs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    values = [gauc["baseline"] for gauc in gaucs]
    if all(value is None for value in values):
        return []
    marker = {"color": COLOURS[1], "symbol": "diamond", "size": 9}
    return [{"type": "scatter", "mode": "markers", "name": "baseline", "x": names, "y": values, "marker": marker}]
