"""Reads CSV with Arrow's reader."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from components.base.errors import InputError
from components.base.utf8 import is_utf8
from pipeline.datasets.tables.raw_rows import NOT_TEXT, RawRows, check_names, text_rows
from pipeline.datasets.tables.record_splitter import Marks, Records, read_records
from pipeline.datasets.tables.table_form import TableForm

_STAND_IN = "\x1f"  # for a separator of several bytes, since Arrow's reader takes one byte
_MOST_COLUMNS = 20_000  # Arrow's reader needs several KB for each
_ONLY_ASCII = bytes(range(128)) + b"x" * 128


def csv_names(path: Path, form: TableForm) -> list[str]:
    """Returns the names of the columns.

    Raises:
        InputError: The file cannot be read or is empty, or its first row is broken.
    """
    return _Csv(path, form).open()[0]


def read_csv(path: Path, wanted: Sequence[str], form: TableForm) -> Iterator[RawRows]:
    """Yields the wanted columns as text.

    Raises:
        InputError: As `csv_names`; or a column is missing, or there several times.
    """
    table = _Csv(path, form)
    names, parts = table.open()
    check_names(path, wanted, names)
    places = [names.index(name) for name in wanted]
    for records in parts:
        rows = table.parse(records, places, len(names))
        rows = text_rows(rows._replace(columns=rows.columns.rename_columns(list(wanted))))
        yield rows.without(_repeated_headers(rows.columns)) if form.header else rows


@dataclass(frozen=True)
class _Csv:
    path: Path
    form: TableForm

    @property
    def _separator(self) -> str:
        return self.form.separator_of(self.path)

    @property
    def _marks(self) -> Marks:
        if len(self._separator.encode()) > 1:
            return Marks(_STAND_IN)
        return Marks(self._separator, self.form.quote, self.form.escape)

    def open(self) -> tuple[list[str], Iterator[Records]]:
        """Returns the names of the columns, and the rows without the header."""
        parts = read_records(self.path, self.form.encoding, self._marks)
        first = next((records for records in parts if not _blank(records).all()), None)
        if first is None:
            raise InputError(f"{self.path} is empty: download it again.")
        place, *later = np.flatnonzero(~_blank(first)).tolist()
        if later and _texts(first, [place]).rstrip(b"\r\n") == f"sep={self._separator}".encode():  # as Excel writes it before the header
            first = _rest(first, later[0])
            place = 0
        where, what = f"{self.path}, line {first.lines[place]}", "header" if self.form.header else "first row"
        if place in first.faults:
            raise InputError(f"{where}: {first.faults[place]}: correct the {what}.")
        text = _texts(first, [place])
        if text.count(self._separator.encode()) >= _MOST_COLUMNS:
            raise InputError(f"{where}: the {what} has more than {_MOST_COLUMNS:,} columns: it is damaged, or not a table in CSV.")
        if self.form.names:  # bytes of the first row that are not text do no harm in columns that are not wanted
            return list(self.form.names), chain((first,), parts)
        try:
            names = self._arrow(text, pa.csv.ReadOptions()).column_names
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: the {what} has {error.object!r:.80}, {NOT_TEXT}.") from error
        if self.form.header:
            return names, chain((_rest(first, place + 1),), parts)
        return [str(number + 1) for number in range(len(names))], chain((first,), parts)

    def parse(self, records: Records, places: Sequence[int], width: int) -> RawRows:
        """Returns some columns of rows, by their places."""
        if not is_utf8(records.text):  # Arrow's reader cannot say which rows of a wrong width hold such bytes
            only_ascii = records._replace(text=records.text.translate(_ONLY_ASCII))
            records = self._with_faults(records, self._columns(only_ascii, places, width)[1], width)
        columns, wrong = self._columns(records, places, width)
        records = self._with_faults(records, wrong, width)
        lines = records.lines[_sound(records)]
        if len(lines) != columns.num_rows:
            raise InputError(
                f"{self.path}, from line {records.lines[0]} on: the quotes give {columns.num_rows} rows, the line ends {len(lines)}: "
                "correct the quotes, or convert the file."
            )
        return RawRows(columns, lines, {int(records.lines[place]): fault for place, fault in records.faults.items()})

    def _columns(self, records: Records, places: Sequence[int], width: int) -> tuple[pa.RecordBatch, list[pa.csv.InvalidRow]]:
        """Returns columns of bytes, and the rows that have too few or too many values."""
        schema = pa.schema([(str(place), pa.binary()) for place in places])
        table, wrong = schema.empty_table(), list[pa.csv.InvalidRow]()
        sound = np.flatnonzero(_sound(records))
        if len(sound):
            text = _texts(records, sound) if records.faults else records.text
            read = pa.csv.ReadOptions(column_names=[str(place) for place in range(width)])
            table = self._arrow(text, read, schema, wrong)
        return pa.RecordBatch.from_arrays([column.combine_chunks() for column in table.columns], schema=schema), wrong

    def _arrow(
        self,
        text: bytes,
        read: pa.csv.ReadOptions,
        schema: pa.Schema | None = None,
        wrong: list[pa.csv.InvalidRow] | None = None,
    ) -> pa.Table:
        """Returns columns; `wrong` gets the rows of a wrong width."""

        def skip(row: pa.csv.InvalidRow) -> str:
            assert wrong is not None
            wrong.append(row)
            return "skip"

        marks = self._marks
        if marks.separator != self._separator:
            text = text.replace(self._separator.encode(), marks.separator.encode())
        if marks.escape:
            text = _without_nulls(text, marks)
        read.use_threads, read.block_size = False, len(text) + 1
        parse = pa.csv.ParseOptions(
            delimiter=marks.separator,
            quote_char=marks.quote or False,
            escape_char=marks.escape or False,
            newlines_in_values=True,
            invalid_row_handler=None if wrong is None else skip,
        )
        convert = pa.csv.ConvertOptions(
            check_utf8=False, strings_can_be_null=False, column_types=schema, include_columns=schema and schema.names
        )
        return pa.csv.read_csv(pa.BufferReader(text), read, parse, convert)

    def _with_faults(self, records: Records, wrong: Sequence[pa.csv.InvalidRow], width: int) -> Records:
        places = np.flatnonzero(_sound(records))
        expected = f" where the header has {width}" if self.form.header else f", but must have {width}"
        faults = {int(places[row.number - 1]): f"it has {row.actual_columns} value(s){expected}" for row in wrong}
        return records._replace(faults=records.faults | faults)


def _repeated_headers(columns: pa.RecordBatch) -> dict[int, str]:
    """Returns the places of rows that hold the names of the columns, as in files of CSV that were put one after the other."""
    places = np.arange(columns.num_rows)
    for name in columns.schema.names:
        values = pc.utf8_ltrim(columns[name].take(pa.array(places)), "\ufeff")  # each file may begin with a byte order mark
        places = places[pc.equal(values, name).to_numpy(zero_copy_only=False)]
    return dict.fromkeys(places.tolist(), "it is the header again")


def _without_nulls(text: bytes, marks: Marks) -> bytes:
    r"""Returns the text without values \N, with which MySQL and Hive write "no value" where there are escapes."""
    separator, escape = (re.escape(mark.encode()) for mark in (marks.separator, marks.escape))
    return re.sub(rb"(?<![^\n%b])%bN(?=[\r\n%b])" % (separator, escape, separator), b"", text)


def _blank(records: Records) -> np.ndarray:
    """(R,) bool: which rows are empty lines."""
    sizes = np.diff(records.ends, prepend=0)
    blank = sizes == 1
    for place in np.flatnonzero(sizes == 2):
        blank[place] = records.text[records.ends[place] - 2] == ord("\r")
    return blank


def _sound(records: Records) -> np.ndarray:
    """(R,) bool: which rows are neither empty nor broken."""
    sound = ~_blank(records)
    sound[list(records.faults)] = False
    return sound


def _texts(records: Records, places: Iterable[int]) -> bytes:
    """Returns the bytes of some rows."""
    begins = np.concatenate(([0], records.ends[:-1]))
    return b"".join(records.text[begins[place] : records.ends[place]] for place in places)


def _rest(records: Records, begin: int) -> Records:
    """Returns the rows from a place on."""
    start = int(records.ends[begin - 1])
    faults = {place - begin: fault for place, fault in records.faults.items() if place >= begin}
    return Records(records.text[start:], records.ends[begin:] - start, records.lines[begin:], faults)
