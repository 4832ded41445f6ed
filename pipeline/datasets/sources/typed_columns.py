"""The columns of sources with a fixed form: their names in files, their types, and what is said about a value that is not legal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.errors import InputError
from pipeline.datasets.sources.broken_rows import sound_rows
from pipeline.datasets.sources.clicklog.mapping import TimestampMapping
from pipeline.datasets.sources.clicklog.times import to_seconds
from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.tables.raw_rows import RawRows
from pipeline.datasets.tables.typed_values import FRACTIONS, INT64_MAX, Typed, null_where, numbers, refused, shown, texts, whole_numbers

_YEAR_2100 = 4_102_444_800  # unix seconds; a greater number is in milliseconds
_ISO = TimestampMapping(unit="iso")


@dataclass(frozen=True)
class Column:
    """A column: its type and its legal values.

    Attributes:
        name: The name in the source, for messages.
        aliases: Names that it has in files: in lower case, without underscores and spaces.
        dtype: "int64", "float", "bytes" or "time": unix seconds, which may be written as ISO 8601 in UTC.
        low: Least legal number.
        high: Greatest legal number.
        expected: The legal values, in words.
        choices: The legal texts of bytes; empty: any text.
        required: Whether a missing value is not legal; otherwise it is null.
    """

    name: str
    aliases: tuple[str, ...] = ()
    dtype: Literal["int64", "float", "bytes", "time"] = "int64"
    low: float = 0
    high: float = INT64_MAX
    expected: str = "a whole number from 0 up"
    choices: tuple[str, ...] = ()
    required: bool = True

    def typed(self, raw: pa.Array) -> Typed:
        """Returns the typed values of raw ones."""
        if self.dtype == "bytes":
            typed = texts(raw)
            if self.choices:
                choices = pa.array([choice.encode() for choice in self.choices], pa.binary())
                typed = refused(typed, pc.invert(pc.is_in(typed.values, choices)))
        else:
            typed = {"int64": whole_numbers, "float": numbers, "time": _unix_or_iso}[self.dtype](raw)
            typed = refused(typed, pc.or_(pc.less(typed.values, self.low), pc.greater(typed.values, self.high)))
        missing = self.required and typed.values.is_null().to_numpy(zero_copy_only=False)
        return typed._replace(broken=typed.broken | missing)

    def fault_at(self, raw: pa.Array, place: int) -> str:
        """Says what is wrong with the raw value at a place."""
        return f"{self.name} is {shown(raw, place)}, but must be {self.expected}"


def time_column(name: str, *aliases: str) -> Column:
    """Returns a column of times."""
    return Column(name, aliases, "time", high=_YEAR_2100, expected="a time in whole unix seconds, or written as 2005-04-02 23:53:47")


def find_column(path: Path, names: Sequence[str], column: Column) -> str:
    """Returns the name of a column in a header, by one of its aliases; RecBole's headers have the type after the name, as in rating:float.

    Raises:
        InputError: The column is missing or there several times.
    """
    plain = [name.split(":")[0].replace("_", "").replace(" ", "").lower() for name in names]
    for alias in column.aliases:
        if plain.count(alias) == 1:
            return names[plain.index(alias)]
    raise InputError(f"{path} has no column {column.name}, or several (it has: {', '.join(names)}): add it or rename one.")


def typed_rows(path: Path, parts: Iterable[RawRows], columns: Mapping[str, Column], tally: Tally) -> Iterator[list[np.ndarray]]:
    """Yields the rows of a table as typed arrays: int64, float64, or objects that are bytes.

    Args:
        path: The file, for messages.
        parts: Its rows, from `tables.read_table`.
        columns: The type of each wanted column, by its name in the table.
        tally: Counts the rows that cannot be read or hold a value that is not legal.

    Raises:
        InputError: There is no row; or one is broken, and broken rows are not skipped.
    """
    is_empty = True
    for rows in parts:
        is_empty = is_empty and not len(rows.numbers) and not rows.broken
        raw = {name: rows.columns[name] for name in columns}
        typed = {name: column.typed(raw[name]) for name, column in columns.items()}
        for name, column in columns.items():
            tally.note(FRACTIONS.format(column.name), typed[name].fractions)
        faults = [(typed[name].broken, partial(column.fault_at, raw[name])) for name, column in columns.items()]
        kept = pa.array(sound_rows(path, rows, faults, tally))
        yield [typed[name].values.filter(kept).to_numpy(zero_copy_only=False) for name in columns]
    if is_empty:
        raise InputError(f"{path} holds no rows: download it again.")


def _unix_or_iso(raw: pa.Array) -> Typed:
    """Returns unix seconds; a whole number is always one, never a date such as 20050402."""
    typed = whole_numbers(raw)
    if not (typed.broken.any() and pa.types.is_string(raw.type)):
        return typed
    written = to_seconds(null_where(raw, pa.array(~typed.broken)), _ISO)
    return typed._replace(values=pc.coalesce(typed.values, written.values), broken=written.broken)
