"""Reads a side table of a click log: further fields of the items, or features of the users, by the id."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.base.errors import InputError
from pipeline.datasets.sources.broken_rows import sound_rows
from pipeline.datasets.sources.clicklog.fields import Field
from pipeline.datasets.sources.clicklog.list_field import ListField, without_missing_tags
from pipeline.datasets.sources.fields_by_id import FieldsById
from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.tables.read_table import column_names, read_table
from pipeline.datasets.tables.table_form import TableForm


class SideTable:
    """The fields of each item, or of each user; the first row of an id counts.

    Args:
        path: The side table.
        form: How it is written.
        key: Its column of ids. In the names of columns, blanks at the ends do not count.
        fields: Its further columns.
        tally: Notes how many rows are broken, and names the first ones; they are not counted among the rows of the log.

    Raises:
        InputError: The table cannot be read; or a row is broken, and broken rows are not skipped.
    """

    def __init__(self, path: Path, form: TableForm, key: Field, fields: Sequence[Field | ListField], tally: Tally):
        own_tally = Tally(tally.skip_broken)
        ids, parts, columns = [], [], [key, *fields]
        names = _names(path, form, [column.column for column in columns])
        for rows in read_table(path, list(dict.fromkeys(names)), form):
            raw = [rows.columns[name] for name in names]
            typed = {column.name: column.typed(values, tally) for column, values in zip(columns, raw, strict=True)}
            typed |= without_missing_tags(fields, typed, tally)
            faults = [(typed[column.name].broken, partial(column.fault, values)) for column, values in zip(columns, raw, strict=True)]
            sound = pa.array(sound_rows(path, rows, faults, own_tally))
            ids.append(typed[key.name].values.filter(sound))
            parts.append(pa.table({field.name: typed[field.name].values.filter(sound) for field in fields}))
        tally.note_side_file(path, own_tally, key.name)
        if not any(map(len, ids)):
            raise InputError(f"{path} holds no rows that can be read: download it again.")
        self._rows = FieldsById(np.concatenate([part.to_numpy(zero_copy_only=False) for part in ids]), pa.concat_tables(parts))

    def fields_of(self, ids: pa.Array) -> dict[str, pa.Array]:
        """Returns the fields of some ids by name; null where the table does not have an id."""
        return self._rows.fields_of(ids)


def _names(path: Path, form: TableForm, wanted: Sequence[str]) -> list[str]:
    """Returns the names of some columns as the table has them, which may have blanks at their ends."""
    found = column_names(path, form)
    by_plain = {name.strip(): name for name in found}
    return [name if name in found else by_plain.get(name.strip(), name) for name in wanted]
