"""Renders HTML pages from templates. A page contains its styles, its data, and all scripts, except plotly.js if a workspace shares it.

Everything from the data is escaped.
"""

from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from pipeline.report.charts.chart_style import Chart
from pipeline.report.text_format import (
    compact,
    count,
    interval,
    metric_name,
    number,
    share,
    short,
    signed,
    signed_interval,
    size,
    when,
)
from pipeline.terminal import printable

_FILTERS = (compact, count, interval, metric_name, number, share, short, signed, signed_interval, size, when)


class Section(NamedTuple):
    """A part of a page: the template `templates/<folder>/<name>.html` under a heading."""

    name: str
    heading: str


def render_page(
    title: str,
    folder: str,
    sections: tuple[Section, ...],
    charts: dict[str, list[Chart]],
    slices: dict[str, Any] | None,
    failed: dict[str, str],
    script: str | None,
    **context: Any,
) -> str:
    """Renders a page.

    Args:
        title: The title of the page.
        folder: The folder of the sections' templates.
        sections: The sections from top to bottom.
        charts: The charts by the section's name.
        slices: The result of `slice_table`; None if there are no slices.
        failed: Why a section is not complete, by its name.
        script: The address of plotly.js, from `share_script`; None puts it into the page, which then is one file.
        **context: The variables of the templates.
    """
    environment = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=True,
        finalize=_printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({function.__name__: function for function in _FILTERS})
    figures = {chart.name: chart.figure for group in charts.values() for chart in group}
    return environment.get_template("page.html").render(
        title=title,
        folder=folder,
        sections=sections,
        charts=charts,
        slices=slices,
        failed=failed,
        data={"figures": figures, "slices": slices},
        script=script,
        plotly=None if script else get_plotlyjs(),
        **context,
    )


def _printable(value: Any) -> Any:
    """Escapes the control characters of text, as on a terminal. An override of the writing direction would reorder the text behind it."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
