"""Reads one file of a click log: raw rows become typed columns, and broken rows are counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa

from components.base.errors import InputError
from pipeline.datasets.event_fields import event_columns
from pipeline.datasets.sources.broken_rows import sound_rows
from pipeline.datasets.sources.clicklog.fields import UNKNOWN, Field
from pipeline.datasets.sources.clicklog.histories import HistoryField, typed_histories
from pipeline.datasets.sources.clicklog.impression_lists import one_row_an_item
from pipeline.datasets.sources.clicklog.list_field import ListField, without_missing_tags
from pipeline.datasets.sources.clicklog.log_columns import LogColumns
from pipeline.datasets.sources.clicklog.mapping import Mapping
from pipeline.datasets.sources.clicklog.side_table import SideTable
from pipeline.datasets.sources.clicklog.times import joined, likely_form, unlikely
from pipeline.datasets.sources.interactions import HISTORICAL_ITEMS, ITEM, REQUEST, TIMESTAMP, USER, Tally
from pipeline.datasets.tables.raw_rows import RawRows
from pipeline.datasets.tables.read_table import read_table
from pipeline.datasets.tables.typed_values import Typed, shown, sound, without_missing

_FILE_BITS = 40  # a request that is one row is the place of the file, then the row in these bits


@dataclass(frozen=True)
class LogReader:
    """Reads the files of a log.

    Args:
        meaning: The mapping.
        mapping: Its file, for messages.
        columns: The columns of the mapping.
        items: The side table about the items.
        users: The side table about the users.
    """

    meaning: Mapping
    mapping: Path
    columns: LogColumns
    items: SideTable | None
    users: SideTable | None = None

    def read(self, file: Path, place: int, tally: Tally) -> Iterator[dict[str, pa.Array]]:
        """Yields the typed columns of sound rows; a label that is neither 1 nor 0 is null.

        Args:
            file: A file of the log.
            place: Its place among these.
            tally: Counts broken rows.

        Raises:
            InputError: The file cannot be read, all times of some rows are unlikely, or a row is broken and such rows are not skipped.
        """
        for rows in read_table(file, self.columns.wanted, self.meaning.files.form):
            rows = self._with_time(rows)
            parts = one_row_an_item(rows, self.meaning.impressions, tally) if self.meaning.impressions.column else (rows,)
            for part in parts:
                yield self._typed(file, place, part, tally)

    def _with_time(self, rows: RawRows) -> RawRows:
        """Returns the rows with day and time of day in one column."""
        day, time_of_day = self.meaning.columns.get(TIMESTAMP, ""), self.meaning.timestamp.time
        if not time_of_day:
            return rows
        column = joined(rows.columns[day], rows.columns[time_of_day], self.meaning.timestamp.format)
        return rows._replace(columns=rows.columns.append_column(f"{day} {time_of_day}", column))

    def _typed(self, file: Path, place: int, rows: RawRows, tally: Tally) -> dict[str, pa.Array]:
        columns = self.columns
        raw = dict(zip(rows.columns.schema.names, rows.columns.columns, strict=True))
        typed = {field.name: field.typed(raw[field.column], tally) for field in columns.fields}
        if self.items:
            found = self.items.fields_of(typed[ITEM].values)
            raw |= {field.column: found[field.name] for field in columns.joined}
        if self.users:
            found = self.users.fields_of(typed[USER].values)
            raw |= {field.column: found[field.name] for field in columns.users}
        side = (*columns.joined, *columns.users)
        typed |= {field.name: field.typed(raw[field.column], tally) for field in (*side, *columns.labels)}
        typed |= without_missing_tags((*columns.fields, *side), typed, tally)
        typed |= typed_histories(columns.histories, raw, tally)
        typed |= self._joined_histories(typed)
        for field in columns.fields:
            if isinstance(field, Field) and field.name == TIMESTAMP:
                self._check_times(file, rows, field, raw[field.column], typed[TIMESTAMP], tally)
        checked: list[Field | ListField | HistoryField] = [*columns.fields, *side, *columns.histories, *columns.labels]
        faults = [(typed[field.name].broken, partial(field.fault, raw[field.column])) for field in checked]
        if columns.makes_requests:
            typed[REQUEST] = sound(pa.array((place << _FILE_BITS) + rows.numbers))
        kept = pa.array(sound_rows(file, rows, faults, tally))
        return {name: column.values.filter(kept) for name, column in typed.items()}

    def _joined_histories(self, typed: dict[str, Typed]) -> dict[str, Typed]:
        """Returns the fields of the items of histories, as the side table has them."""
        if not (self.items and self.columns.joined_histories):
            return {}
        histories = typed[HISTORICAL_ITEMS].values
        fields = self.items.fields_of(histories.values)
        found: dict[str, pa.Array] = {}
        for history, name in self.columns.joined_histories.items():
            events = fields[name].fill_null(UNKNOWN) if pa.types.is_binary(fields[name].type) else fields[name]
            found |= event_columns(history, events, histories.offsets.to_numpy())
        return {name: sound(lists) for name, lists in found.items()}

    def _check_times(self, file: Path, rows: RawRows, field: Field, raw: pa.Array, typed: Typed, tally: Tally) -> None:
        tally.warn(f"times of {field.column} are before 1990 or more than a year ahead, and others are not", unlikely(typed))
        form = likely_form(raw, typed)
        if form is None:
            return
        raw = without_missing(raw)
        place = raw.is_valid().index(True).as_py()
        seconds = typed.values[place].as_py()
        means = "not one" if seconds is None else f"in {datetime.fromtimestamp(seconds, UTC).year}"
        raise InputError(
            f"{file}, {rows.unit} {rows.numbers[place]}: {field.column} is {shown(raw, place)}, which is {means} as {field.expected}, "
            f"and the other times are as unlikely; set {form} under [timestamp] in {self.mapping}, which gives likely times."
        )
