"""Charts over the days (or other spans) that models were judged on: how the served model did on each new day, and the new one after it."""

import re
from typing import Any

from pipeline.report.charts.chart_style import COLOURS, MUTED, Chart, axis, layout, line, plain
from pipeline.report.text_format import metric_name, number

MOST_DAYS = 100  # a page shows the last days, at most so many

_METRICS = ("auc", "gauc", "calibration")
_SERVED, _NEW, _ORACLE = "served, before the training", "newly trained", "oracle"


def day_charts(runs: list[dict[str, Any]]) -> list[Chart]:
    """Returns a chart for each metric, with a point for each span; none if fewer than two spans were judged.

    Args:
        runs: The history of a `Content`, oldest first. The last run of a span that has metrics counts.
    """
    judged = {run["span"]: run for run in runs if run["span"] and run["metrics"]}
    days = [judged[name] for name in sorted(judged, key=_order)][-MOST_DAYS:]
    return (
        [_chart(metric, days) for metric in _METRICS if any(_value(day["metrics"], metric) is not None for day in days)] if days[1:] else []
    )


def _order(name: str) -> tuple[int, ...]:
    """Dates and numbers of spans in their order: span-9 is before span-10."""
    return tuple(int(digits) for digits in re.findall(r"\d+", name))


def _value(metrics: dict[str, Any] | None, metric: str) -> float | None:
    return (metrics or {}).get(metric)


def _chart(metric: str, days: list[dict[str, Any]]) -> Chart:
    names = [plain(day["span"]) for day in days]
    lines = {
        _SERVED: ([_value(day["served_on_new_data"], metric) for day in days], COLOURS[1]),
        _NEW: ([_value(day["metrics"], metric) for day in days], COLOURS[0]),
        _ORACLE: ([_value(day["oracle"], metric) for day in days], MUTED),
    }
    known = {name: part for name, part in lines.items() if any(value is not None for value in part[0])}
    traces = [line(name, names, values, colour, mode="lines+markers") for name, (values, colour) in known.items()]
    ends = ", ".join(f"{name} {number(values[-1])}" for name, (values, _) in known.items())
    title = f"{metric_name(metric)} by day"
    figure = {"data": traces, "layout": layout(axis("", type="category", nticks=6), axis(""), showlegend=True)}
    return Chart(f"days-{metric}", title, f"{title}, from {names[0]} to {names[-1]}; on the last one: {ends}.", figure)
