"""Reads the side table of a click log: further fields of the items, by the item's id."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.base.errors import InputError
from pipeline.datasets.sources.clicklog.cell_values import Field
from pipeline.datasets.sources.clicklog.mapping import ItemsMapping
from pipeline.datasets.sources.clicklog.table_files import Chunk, read_table

Items = dict[int | bytes | None, tuple[Any, ...]]  # id -> raw fields, in the order of the mapping


def item_id(item: Field, raw: Any) -> int | bytes | None:
    """Returns an item's id in its type (as int64, "01" is 1); None where it is not legal."""
    try:
        return item.value(raw)
    except ValueError:
        return None


def read_items(path: Path, items: ItemsMapping, item: Field, separator: str, encoding: str) -> Items:
    """Returns the raw fields of each item; the first row of an item counts.

    Args:
        path: The side table.
        items: What its columns mean.
        item: The column of ids.
        separator: Between the values of text, as in `table_files.read_table`.
        encoding: The encoding of text and JSON.

    Raises:
        InputError: The table cannot be read, or a line is broken. Broken lines are not skipped, since only impressions are counted.
    """
    table: Items = {}
    once: dict[tuple[Any, ...], tuple[Any, ...]] = {}  # so that items with equal fields share one tuple
    for chunk in read_table(path, list(dict.fromkeys([items.id, *items.columns.values()])), separator, encoding):
        if faults := dict(_faults(chunk, items, item)):
            number = min(faults)
            where = f"{path}, {chunk.unit} {number}: {faults[number]}"
            raise InputError(f"{where}: correct or remove the {chunk.unit}; --skip-broken does not apply to a side table.")
        fields = zip(*(chunk.columns[column] for column in items.columns.values()), strict=True)
        for raw, values in zip(chunk.columns[items.id], fields, strict=True):
            table.setdefault(item.value(raw), once.setdefault(values, values))
    return table


def _faults(chunk: Chunk, items: ItemsMapping, item: Field) -> Iterator[tuple[int, str]]:
    """Yields the number of each broken line, and what is wrong with it."""
    yield from chunk.broken.items()
    for column in items.columns.values():
        for number, raw in zip(chunk.numbers, chunk.columns[column], strict=True):
            if isinstance(raw, list | dict):
                yield number, f"{column} is {raw!r:.80}, but must be one value"
    for number, raw in zip(chunk.numbers, chunk.columns[item.column], strict=True):
        if fault := item.fault(raw):
            yield number, fault
