"""The chart of the AUC that a model loses without each feature."""

from typing import Any

from pipeline.report.charts.chart_style import COLOURS, MUTED, Chart, axis, layout, plain
from pipeline.report.text_format import number

_MOST = 40  # features in the chart, the most important


def importance_chart(importance: dict[str, Any]) -> Chart | None:
    """Returns a bar for each feature on all impressions, with its interval, the most important one on top; None without features.

    Args:
        importance: The content of `importance.json`.
    """
    rows = importance["slices"][0]["features"][:_MOST]
    if not rows:
        return None
    up = [None if row["high"] is None else row["high"] - row["lost"] for row in rows]
    down = [None if row["low"] is None else row["lost"] - row["low"] for row in rows]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [row["lost"] for row in rows],
        "y": [plain(row["feature"]) for row in rows],
        "marker": {"color": COLOURS[0]},
        "error_x": {"type": "data", "symmetric": False, "color": MUTED, "array": up, "arrayminus": down},
        "hovertemplate": "%{y}: %{x:.4f}<extra></extra>",
    }
    described = "; ".join(f"{row['feature']}: {number(row['lost'])}" for row in rows)
    height = 120 + 24 * len(rows)
    figure = {"data": [bars], "layout": layout(axis("AUC lost"), axis("", type="category", autorange="reversed"), height=height)}
    return Chart("importance", "AUC that is lost without a feature", f"AUC that is lost without each feature. {described}.", figure)
