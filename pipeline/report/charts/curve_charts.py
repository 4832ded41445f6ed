"""Charts of the quality of scores: calibration, ROC, precision by recall, and the distribution of scores by class."""

import itertools
from collections.abc import Mapping
from typing import Any

from pipeline.report.charts.chart_style import COLOURS, MUTED, Chart, axis, layout, line, plain


def curve_charts(models: Mapping[str, dict[str, Any]], label: str = "") -> list[Chart]:
    """Returns the charts of calibration, ROC, and precision by recall, of one or two models.

    Args:
        models: The curves of each model, by the name to show.
        label: What is predicted, if there are several labels.
    """
    return [_of_label(chart, label) for chart in (_calibration(models, label), _roc(models), _precision_recall(models))]


def _of_label(chart: Chart, label: str) -> Chart:
    """Returns a chart that names its label. Charts of different labels have different names."""
    if not label:
        return chart
    return chart._replace(name=f"{chart.name}-{label}", title=f"{chart.title}: {label}", description=f"{label}: {chart.description}")


def _calibration(models: Mapping[str, dict[str, Any]], label: str) -> Chart:
    share = f"{label or 'click'} rate"
    rates = [rate for curves in models.values() for side in ("predicted", "observed") for rate in curves["calibration"][side]]
    traces = [_diagonal("perfectly calibrated", max(rates, default=1))]
    for (name, curves), colour in zip(models.items(), COLOURS, strict=False):
        curve = curves["calibration"]
        hover = [f"{examples:,} impressions" for examples in curve["examples"]]
        trace = line(name, curve["predicted"], curve["observed"], colour, mode="lines+markers", text=hover, marker={"size": 7})
        traces.append({**trace, "hovertemplate": "predicted %{x:.4f}<br>observed %{y:.4f}<br>%{text}"})
    figure = {
        "data": traces,
        "layout": layout(axis(f"predicted {share}", rangemode="tozero"), axis(f"observed {share}", rangemode="tozero")),
    }
    described = f"Observed {share} by predicted {share}, in bins of the score. On the diagonal both are equal."
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


def score_chart(scores: dict[str, Any], label: str = "") -> Chart:
    """Returns the chart of the distribution of scores, of clicked impressions and of the others, as shares of each class.

    Args:
        scores: The numbers of impressions by score and class.
        label: What is predicted, if there are several labels.
    """
    edges = scores["edges"]
    centres = [(low + high) / 2 for low, high in itertools.pairwise(edges)]
    widths = [high - low for low, high in itertools.pairwise(edges)]
    traces = []
    others, clicked = (f"no {label}", label) if label else ("not clicked", "clicked")
    for name, key, colour in ((others, "not_clicked", MUTED), (clicked, "clicked", COLOURS[0])):
        total = sum(scores[key]) or 1
        shares = [bar / total for bar in scores[key]]
        bars = {
            "type": "bar",
            "name": plain(name),
            "x": centres,
            "y": shares,
            "width": widths,
            "opacity": 0.65,
            "marker": {"color": colour},
        }
        traces.append({**bars, "hovertemplate": "score %{x:.3f}<br>%{y:.2%}"})
    figure = {
        "data": traces,
        "layout": layout(axis("score"), axis("share of the class", tickformat=".0%"), barmode="overlay", bargap=0),
    }
    described = f"Distribution of the scores of impressions with {label or 'a click'} and of the others."
    return _of_label(Chart("scores", "Scores by class", described, figure), label)


def _diagonal(name: str, end: float) -> dict[str, Any]:
    return line(name, [0, end], [0, end], MUTED, line={"color": MUTED, "width": 1, "dash": "dot"}, hoverinfo="skip")
