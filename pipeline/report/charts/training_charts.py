"""Charts of the loss and the metrics by epoch, of one run or of two."""

from typing import Any

from pipeline.report.charts.chart_style import COLOURS, MUTED, Chart, axis, layout, line
from pipeline.report.text_format import metric_name, number

_TICKS = 8


def training_charts(training: dict[str, Any]) -> list[Chart]:
    """Returns a chart for each series, with a line for train and one for validation.

    Args:
        training: The `training` of a run's details.
    """
    colours = {"train": MUTED, "validation": COLOURS[0]}
    epochs = training["epochs"]
    return [
        _chart(metric_name(series), [(part, epochs, values, colours[part]) for part, values in parts.items() if values])
        for series, parts in training["series"].items()
    ]


def validation_charts(first: tuple[str, dict[str, Any]], second: tuple[str, dict[str, Any]]) -> list[Chart]:
    """Returns a chart for each series whose validation values both runs have.

    Args:
        first: The name of a run and the `training` of its details.
        second: Those of another run.
    """
    charts = []
    for series in first[1]["series"]:
        parts = [(name, training["epochs"], training["series"].get(series, {}).get("validation")) for name, training in (first, second)]
        if all(values for _, _, values in parts):
            lines = [(*part, colour) for part, colour in zip(parts, COLOURS, strict=True)]
            charts.append(_chart(f"{metric_name(series)} on validation data", lines))
    return charts


def _chart(title: str, lines: list[tuple[str, list[int], list[float | None], str]]) -> Chart:
    traces = [line(name, epochs, values, colour, mode="lines+markers") for name, epochs, values, colour in lines]
    most = max((len(epochs) for _, epochs, _, _ in lines), default=1)
    ends = ", ".join(f"{name} {number(values[-1])}" for name, _, values, _ in lines)
    figure = {"data": traces, "layout": layout(axis("epoch", dtick=max(1, most // _TICKS)), axis(""), showlegend=True)}
    return Chart(f"training-{title}".replace(" ", "-"), title, f"{title} by epoch; in the last epoch: {ends}.", figure)
