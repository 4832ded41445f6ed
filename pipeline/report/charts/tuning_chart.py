"""Parallel coordinates of the trials of a search: an axis for each key, a line for each trial.

Plotly's own chart of this kind needs WebGL and code that is made at run time, which the page forbids. Lines need neither.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from din_trainer.tuning.search_space import value_text
from pipeline.report.charts.chart_style import COLOURS, MUTED, Chart, axis, layout, plain
from pipeline.report.text_format import number

_MOST = 200  # lines, those of the best trials
_AUC = "validation AUC"


class _Axis(NamedTuple):
    """An axis: where each value is, from 0 to 1, and the labels beside it by their places."""

    name: str
    places: list[float | None]  # of each trial; None: it has no value
    labels: dict[float, str]


def tuning_chart(trials: Sequence[dict[str, Any]], space: Mapping[str, Any]) -> Chart:
    """Returns the chart of a search. The lines of the best trial and of the configuration's own setting are in front.

    Args:
        trials: The content of `trials.json`. One trial at least has an AUC.
        space: `tuner.space` of the configuration.
    """
    aucs = [trial["auc"] for trial in trials]
    axes = [_axis(key, [trial["values"][key] for trial in trials], space.get(key)) for key in trials[0]["values"]]
    axes.append(_number_axis(_AUC, aucs, {}))
    best = max((index for index, auc in enumerate(aucs) if auc is not None), key=lambda index: aucs[index])
    order = sorted(range(len(trials)), key=lambda index: (index in (0, best), aucs[index] or 0.0))[-_MOST:]
    groups = dict.fromkeys(order, "other trials") | {0: "the configuration's own setting"} | {best: "the best trial"}
    shown: set[str] = set()
    lines = []
    for index in order:
        lines.append(_line(index, trials[index], axes, groups[index], groups[index] not in shown))
        shown.add(groups[index])
    names = [plain(each.name) for each in axes]
    ticks = axis("", tickvals=list(range(len(axes))), ticktext=names, range=[-0.15, len(axes) - 0.55], fixedrange=True)
    hidden = axis("", range=[-0.06, 1.06], showticklabels=False, showgrid=False, fixedrange=True)
    labels = [_label(place, y, text) for place, each in enumerate(axes) for y, text in each.labels.items()]
    described = f"A line for each of {len(trials)} trials. The best one, trial {best + 1}, has the validation AUC {number(aucs[best])}."
    figure = {"data": lines, "layout": layout(ticks, hidden, annotations=labels, showlegend=True)}
    return Chart("tuning", "Values of the trials, and their validation AUC", f"{described} The table below has all values.", figure)


def _axis(key: str, values: list[Any], entry: Any) -> _Axis:
    """The axis of a key whose entry in the space is a range or a list of values."""
    if isinstance(entry, Mapping):
        return _number_axis(key, values, entry)
    texts = [json.dumps(value) for value in values]
    known = sorted(set(texts), key=lambda text: (_size(json.loads(text)), text))
    places = {text: index / max(len(known) - 1, 1) for index, text in enumerate(known)}
    return _Axis(key, [places[text] for text in texts], {places[text]: value_text(json.loads(text)) for text in known})


def _size(value: Any) -> float:
    """Puts numbers and lists of numbers into their order."""
    parts = value if isinstance(value, list) else [value]
    return sum(float(part) for part in parts if isinstance(part, int | float))


def _number_axis(name: str, values: list[Any], entry: Mapping[str, Any]) -> _Axis:
    known = [float(value) for value in values if value is not None]
    low, high = min([*known, entry.get("min", known[0])]), max([*known, entry.get("max", known[0])])
    scale = math.log if entry.get("scale") == "log" else float
    width = scale(high) - scale(low)
    places = [None if value is None else (scale(value) - scale(low)) / width if width else 0.5 for value in values]
    text = number if name == _AUC else value_text
    return _Axis(name, places, {0.0: text(low), 1.0: text(high)} if width else {0.5: text(low)})


def _line(index: int, trial: dict[str, Any], axes: Sequence[_Axis], group: str, first: bool) -> dict[str, Any]:
    colour, width = {"the best trial": (COLOURS[0], 3), "the configuration's own setting": (COLOURS[1], 3)}.get(group, (MUTED, 1))
    values = "<br>".join(plain(f"{key} {value_text(value)}") for key, value in trial["values"].items())
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": plain(group),
        "legendgroup": group,
        "showlegend": first,
        "x": list(range(len(axes))),
        "y": [each.places[index] for each in axes],
        "line": {"color": colour, "width": width},
        "marker": {"size": 5},
        "opacity": 0.6 if colour == MUTED else 1,
        "hovertemplate": f"trial {index + 1}<br>{values}<br>AUC {number(trial['auc'])}<extra></extra>",
    }


def _label(place: int, y: float, text: str) -> dict[str, Any]:
    """A value beside its axis."""
    return {"x": place, "y": y, "text": plain(text), "showarrow": False, "xanchor": "left", "xshift": 6, "yshift": 8}
