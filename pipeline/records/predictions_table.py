"""The table of a few evaluation impressions with their scores, as wide as the terminal."""

from typing import Any

from rich.measure import Measurement
from rich.table import Table

from components.evaluation.metrics.catalogue import PROBABILITY
from pipeline.console import Console

_ANY_WIDTH = 1_000_000


def predictions_table(rows: list[dict[str, Any]], console: Console) -> Table:
    """Returns the table. It has all columns up to the probabilities, and of those after them as many as fit.

    Args:
        rows: Of `pipeline.predict.sample_predictions`. A feature that a row lacks is an empty cell.
        console: Where it will be printed.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    first = max((place + 1 for place, name in enumerate(names) if name.startswith(PROBABILITY)), default=0)
    shown = names[:first]
    for name in names[first:]:
        if _width(_table(rows, [*shown, name]), console) <= console.width:
            shown.append(name)
    table = _table(rows, shown)
    if hidden := len(names) - len(shown):
        what = "1 feature of the user is" if hidden == 1 else f"{hidden} features of the user are"
        table.caption, table.caption_justify = f"{what} not shown: the terminal is too narrow.", "left"
    return table


def _width(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update(max_width=_ANY_WIDTH), table).maximum


def _table(rows: list[dict[str, Any]], names: list[str]) -> Table:
    table = Table(title="five impressions of the eval split", title_justify="left")
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
