"""Reads the side table of a click log: further fields of the items, by the item's id."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from components.base.errors import InputError
from pipeline.datasets.sources.broken_rows import sound_rows
from pipeline.datasets.sources.clicklog.fields import Field
from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.tables.read_table import read_table
from pipeline.datasets.tables.table_form import TableForm


class ItemTable:
    """The fields of each item; the first row of an item counts.

    Args:
        path: The side table.
        form: How it is written.
        item: Its column of ids.
        fields: Its further columns.
        tally: Notes how many rows are broken, and names the first ones; they are not counted among the rows of the log.

    Raises:
        InputError: The table cannot be read; or a row is broken, and broken rows are not skipped.
    """

    def __init__(self, path: Path, form: TableForm, item: Field, fields: Sequence[Field], tally: Tally):
        own_tally = Tally(tally.skip_broken)
        ids, parts = [], []
        for rows in read_table(path, list(dict.fromkeys(field.column for field in (item, *fields))), form):
            raw = [rows.columns[field.column] for field in (item, *fields)]
            typed = [field.typed(column, tally) for field, column in zip((item, *fields), raw, strict=True)]
            faults = [
                (values.broken, partial(field.fault, column)) for field, column, values in zip((item, *fields), raw, typed, strict=True)
            ]
            sound = pa.array(sound_rows(path, rows, faults, own_tally))
            ids.append(typed[0].values.filter(sound))
            parts.append(pa.table([values.values.filter(sound) for values in typed[1:]], [field.name for field in fields]))
        tally.note_side_file(path, own_tally)
        if not any(map(len, ids)):
            raise InputError(f"{path} holds no rows that can be read: download it again.")
        index = pd.Index(np.concatenate([part.to_numpy(zero_copy_only=False) for part in ids]))
        is_first = ~index.duplicated()
        self._index = index[is_first]
        self._fields = pa.concat_tables(parts).filter(pa.array(is_first)).combine_chunks()

    def fields_of(self, items: pa.Array) -> dict[str, pa.Array]:
        """Returns the fields of some items by name; null where the table does not have an item."""
        places = self._index.get_indexer(items.to_numpy(zero_copy_only=False))
        found = self._fields.take(pa.array(places, mask=places < 0))
        return {name: found[name].combine_chunks() for name in found.column_names}
