"""What all charts share: Plotly figures in their JSON form, which `page.js` draws in the page's colours."""

from typing import Any, NamedTuple

from pipeline.report.text_format import short

COLOURS = ("#3b73d9", "#d9822b")  # on light and dark alike
MUTED = "#8a94a3"


class Chart(NamedTuple):
    """A figure and its words.

    Attributes:
        name: Unique on the page.
        title: Its caption.
        description: What it shows, for who cannot see it.
        figure: `data` and `layout`.
    """

    name: str
    title: str
    description: str
    figure: dict[str, Any]


def plain(text: Any) -> str:
    """Text of the data, such that Plotly, which knows some HTML, shows it as it is."""
    return short(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def axis(title: str, **options: Any) -> dict[str, Any]:
    return {"title": {"text": plain(title)}, "zeroline": False, **options}


def layout(x: dict[str, Any], y: dict[str, Any], **options: Any) -> dict[str, Any]:
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
    return {"type": "scatter", "mode": "lines", "name": plain(name), "x": x, "y": y, "line": {"color": colour, "width": 2}, **options}
