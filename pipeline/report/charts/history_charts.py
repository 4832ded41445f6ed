"""Charts of the metrics of all runs with the same name, in the order of the runs."""

from typing import Any

from components.evaluation.metrics.catalogue import REPORTED
from pipeline.report.charts.chart_style import COLOURS, MUTED, Chart, axis, layout, line, plain
from pipeline.report.text_format import metric_name, number, when

MOST_RUNS = 100  # a page shows the last runs, at most so many
_TICKS = 4


def history_charts(runs: list[dict[str, Any]], current: str) -> list[Chart]:
    """Returns a chart for each metric that at least two runs have.

    Args:
        runs: The history of a `Content`, oldest first.
        current: The id of the run to mark.
    """
    evaluated = [run for run in runs if run["metrics"]][-MOST_RUNS:]
    charts = []
    for metric in REPORTED:
        known = [(at, run) for at, run in enumerate(evaluated) if run["metrics"].get(metric) is not None]
        if len(known) > 1:
            charts.append(_chart(metric, known, current))
    return charts


def _chart(metric: str, known: list[tuple[int, dict[str, Any]]], current: str) -> Chart:
    pushed = [point for point in known if point[1]["status"] == "pushed"]
    others = [point for point in known if point[1]["status"] != "pushed"]
    here = [point for point in known if point[1]["run_id"] == current]
    values = [run["metrics"][metric] for _, run in known]
    traces = [
        line("", [at for at, _ in known], values, MUTED, showlegend=False, hoverinfo="skip", line={"color": MUTED, "width": 1}),
        _marks("not pushed", others, metric, {"symbol": "circle-open", "size": 9, "color": MUTED, "line": {"width": 2}}),
        _marks("pushed", pushed, metric, {"symbol": "circle", "size": 10, "color": COLOURS[0]}),
        _marks("this run", here, metric, {"symbol": "circle-open", "size": 18, "color": COLOURS[1], "line": {"width": 2}}),
    ]
    ticks = known[:: max(1, -(-len(known) // _TICKS))]
    labels = {"tickvals": [at for at, _ in ticks], "ticktext": [when(run["started"])[5:] for _, run in ticks]}
    figure = {
        "data": traces,
        "layout": layout(axis("", **labels), axis("", range=_range(values)), margin={"l": 48, "r": 12, "t": 12, "b": 24}, showlegend=False),
    }
    described = (
        f"{metric_name(metric)} over {len(known)} runs, from {number(values[0])} to {number(values[-1])}; {len(pushed)} were pushed."
    )
    return Chart(f"history-{metric}", metric_name(metric), described, figure)


def _range(values: list[float]) -> list[float]:
    """Returns a range with some space around the values, even if all of them are equal."""
    low, high = min(values), max(values)
    room = 0.15 * (high - low) or 0.1 * abs(high) or 0.1
    return [low - room, high + room]


def _marks(name: str, points: list[tuple[int, dict[str, Any]]], metric: str, marker: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [at for at, _ in points],
        "y": [run["metrics"][metric] for _, run in points],
        "text": [plain(run["run_id"]) for _, run in points],
        "marker": marker,
        "hovertemplate": "%{text}<br>%{y:.4f}",
    }
