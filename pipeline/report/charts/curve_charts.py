"""Charts of the quality of scores: calibration, ROC, precision by recall, and the distribution of scores by class."""

import itertools
from collections.abc import Mapping
from typing import Any

from pipeline.report.charts.chart_style import COLOURS, MUTED, Chart, axis, layout, line


def curve_charts(models: Mapping[str, dict[str, Any]]) -> list[Chart]:
    """Returns the charts of calibration, ROC, and precision by recall, of one or two models.

    Args:
        models: The curves of each model, by the name to show.
    """
    return [_calibration(models), _roc(models), _precision_recall(models)]


def _calibration(models: Mapping[str, dict[str, Any]]) -> Chart:
    rates = [rate for curves in models.values() for side in ("predicted", "observed") for rate in curves["calibration"][side]]
    traces = [_diagonal("perfectly calibrated", max(rates, default=1))]
    for (name, curves), colour in zip(models.items(), COLOURS, strict=False):
        curve = curves["calibration"]
        hover = [f"{examples:,} impressions" for examples in curve["examples"]]
        trace = line(name, curve["predicted"], curve["observed"], colour, mode="lines+markers", text=hover, marker={"size": 7})
        traces.append({**trace, "hovertemplate": "predicted %{x:.4f}<br>observed %{y:.4f}<br>%{text}"})
    figure = {
        "data": traces,
        "layout": layout(axis("predicted click rate", rangemode="tozero"), axis("observed click rate", rangemode="tozero")),
    }
    described = "Observed click rate by predicted click rate, in bins of the score. On the diagonal both are equal."
    return Chart("calibration", "Calibration", described, figure)


def _roc(models: Mapping[str, dict[str, Any]]) -> Chart:
    traces = [_diagonal("chance", 1)]
    for (name, curves), colour in zip(models.items(), COLOURS, strict=False):
        traces.append(line(name, curves["roc"]["fpr"], curves["roc"]["tpr"], colour))
    figure = {"data": traces, "layout": layout(axis("false positive rate"), axis("true positive rate"))}
    return Chart("roc", "ROC", "True positive rate by false positive rate. The area under the curve is the AUC.", figure)


def _precision_recall(models: Mapping[str, dict[str, Any]]) -> Chart:
    traces = [
        line(name, curves["pr"]["recall"], curves["pr"]["precision"], colour)
        for (name, curves), colour in zip(models.items(), COLOURS, strict=False)
    ]
    figure = {"data": traces, "layout": layout(axis("recall"), axis("precision", rangemode="tozero"), showlegend=True)}
    return Chart("precision-recall", "Precision by recall", "Precision by recall, for all thresholds of the score.", figure)


def score_chart(scores: dict[str, Any]) -> Chart:
    """Returns the chart of the distribution of scores, of clicked impressions and of the others, as shares of each class."""
    edges = scores["edges"]
    centres = [(low + high) / 2 for low, high in itertools.pairwise(edges)]
    widths = [high - low for low, high in itertools.pairwise(edges)]
    traces = []
    for name, key, colour in (("not clicked", "not_clicked", MUTED), ("clicked", "clicked", COLOURS[0])):
        total = sum(scores[key]) or 1
        shares = [bar / total for bar in scores[key]]
        bars = {"type": "bar", "name": name, "x": centres, "y": shares, "width": widths, "opacity": 0.65, "marker": {"color": colour}}
        traces.append({**bars, "hovertemplate": "score %{x:.3f}<br>%{y:.2%}"})
    figure = {
        "data": traces,
        "layout": layout(axis("score"), axis("share of the class", tickformat=".0%"), barmode="overlay", bargap=0),
    }
    return Chart("scores", "Scores by class", "Distribution of the scores of clicked impressions and of the others.", figure)


def _diagonal(name: str, end: float) -> dict[str, Any]:
    return line(name, [0, end], [0, end], MUTED, line={"color": MUTED, "width": 1, "dash": "dot"}, hoverinfo="skip")
