"""Makes one row of each item in cells such as "N1-0 N2-1", which hold all items that were shown together, each with its label."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.sources.clicklog.list_cells import to_lists
from pipeline.datasets.sources.clicklog.mapping import ImpressionsMapping
from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.tables.raw_rows import RawRows
from pipeline.datasets.tables.typed_values import shown, texts

_CELLS = 1000  # at a time, since a cell may hold hundreds of items


def item_column(mapping: ImpressionsMapping) -> str:
    """Returns the name that the items get among the columns."""
    return f"an item of {mapping.column}"


def label_column(mapping: ImpressionsMapping) -> str:
    """Returns the name that the labels get among the columns."""
    return f"a label of {mapping.column}"


def one_row_an_item(rows: RawRows, mapping: ImpressionsMapping, tally: Tally) -> Iterator[RawRows]:
    """Yields the rows again for each item of their cells, with the columns of items and labels.

    Args:
        rows: Rows with the column of the mapping.
        mapping: How its cells are written.
        tally: Counts the cells without an item.
    """
    broken = rows.broken
    for begin in range(0, max(len(rows.numbers), 1), _CELLS):
        part = RawRows(rows.columns.slice(begin, _CELLS), rows.numbers[begin : begin + _CELLS], broken, rows.unit)
        yield _exploded(part, mapping, tally)
        broken = {}


def _exploded(rows: RawRows, mapping: ImpressionsMapping, tally: Tally) -> RawRows:
    raw = rows.columns[mapping.column]
    lists = to_lists(raw, mapping.separator, mapping.column, tally)
    pairs, broken, _ = texts(lists.elements)
    of_row = np.repeat(np.arange(len(raw)), lists.sizes)
    wrong = {*np.flatnonzero(lists.broken).tolist(), *of_row[broken].tolist()}
    of_row, pairs = of_row[pairs.is_valid().to_numpy(zero_copy_only=False)], pairs.drop_null().cast(pa.string())
    split = pc.split_pattern(pairs, mapping.label_separator, max_splits=1, reverse=True)
    unlabelled = pc.list_value_length(split).to_numpy() != 2
    if wrong := wrong | {*of_row[unlabelled].tolist()}:
        example = f"N1{mapping.label_separator}0{mapping.separator}N2{mapping.label_separator}1"
        return _exploded(
            rows.without(
                {place: f"{mapping.column} is {shown(raw, place)}, but must be items with labels, as in {example}" for place in wrong}
            ),
            mapping,
            tally,
        )
    tally.drop(f"{mapping.column} has no item", len(raw) - len(np.unique(of_row)))
    columns = rows.columns.take(pa.array(of_row))
    for name, place in ((item_column(mapping), 0), (label_column(mapping), 1)):
        columns = columns.append_column(name, pc.list_element(split, place))
    return RawRows(columns, rows.numbers[of_row], rows.broken, rows.unit)
