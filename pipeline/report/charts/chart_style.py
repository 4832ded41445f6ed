"""What all charts share. A chart is a Plotly figure in its JSON form; `page.js` draws it in the colours of the page."""

from typing import Any, NamedTuple

from pipeline.report.text_format import short

COLOURS = ("#3b73d9", "#d9822b")  # visible on light and on dark pages
MUTED = "#8a94a3"


class Chart(NamedTuple):
    """A figure with its texts.

    Attributes:
        name: The name, unique on the page.
        title: The caption.
        description: What the chart shows, for people who cannot see it.
        figure: Plotly's `data` and `layout`.
    """

    name: str
    title: str
    description: str
    figure: dict[str, Any]


def plain(text: Any) -> str:
    """Escapes text from the data. Plotly interprets some HTML, and must show the text as it is."""
    return short(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def axis(title: str, **options: Any) -> dict[str, Any]:
    """Returns an axis with a title."""
    return {"title": {"text": plain(title)}, "zeroline": False, **options}


def layout(x: dict[str, Any], y: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Returns the layout of a chart with these axes."""
    return {
        "xaxis": {"automargin": True, **x},
        "yaxis": {"automargin": True, **y},
        "margin": {"l": 48, "r": 12, "t": 36, "b": 44},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "closest",
        "dragmode": False,
        **options,
    }


def line(name: str, x: list[Any], y: list[Any], colour: str, **options: Any) -> dict[str, Any]:
    """Returns a line of a chart."""
    return {"type": "scatter", "mode": "lines", "name": plain(name), "x": x, "y": y, "line": {"color": colour, "width": 2}, **options}
