"""Reads JSON lines with Arrow's reader, and with Python's what that one refuses or would change.

Arrow's reader gives a column one type. It refuses a column that holds 5 in one line and "5" in the next, and it makes floats of whole
numbers beside a fraction or beyond 64 bits, which changes the digits of long ids.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from components.base.errors import InputError
from pipeline.datasets.tables.json_values import column_of
from pipeline.datasets.tables.raw_rows import RawRows, missing_column
from pipeline.datasets.tables.record_splitter import Records, read_records
from pipeline.datasets.tables.table_form import TableForm

_MOST_BRACKETS = 1000  # that open in a line; Python's reader takes lines with more
_EXACT = 2**53  # a greater whole number may differ from the float nearest to it
_ONE_LIST = re.compile(rb"\s*\[\s*\{")
_OVER_LINES = re.compile(rb"\s*\{[ \t]*\r?\n")


def json_names(path: Path, form: TableForm) -> list[str]:
    """Returns the keys of the first lines, in the order in which they are first seen.

    Raises:
        InputError: The file cannot be read, or its objects are not one on each line.
    """
    first = next(_read(path, form), None)
    if first is None:
        return []
    objects, _ = _objects(first)
    return list(dict.fromkeys(key for row in objects.values() for key in row))


def read_json(path: Path, wanted: Sequence[str], form: TableForm) -> Iterator[RawRows]:
    """Yields the wanted keys as columns; a key may be missing in some lines, but not in all.

    Raises:
        InputError: As `json_names`, or no line has a key.
    """
    seen, types = dict[str, None](), None
    waiting: RawRows | None = None  # the last rows, until it is sure that no key is missing
    for records in _read(path, form):
        table = (types and _by_arrow(records, wanted, types)) or _by_arrow(records, wanted)
        if table is None:
            rows, names = _by_python(records, wanted)
        else:
            names = table.column_names
            rows = _selected(table, wanted, _line_numbers(records))
        seen |= dict.fromkeys(names)
        types = _known_types(rows.columns.schema)
        if waiting:
            yield waiting
        waiting = rows
    if seen and (missing := [name for name in wanted if name not in seen]):
        raise missing_column(path, missing[0], list(seen))
    if waiting:
        yield waiting


def _read(path: Path, form: TableForm) -> Iterator[Records]:
    for place, records in enumerate(read_records(path, form.encoding)):
        if place == 0 and _ONE_LIST.match(records.text):
            raise InputError(f"{path} is one JSON list: write one object on each line, for example with `jq -c '.[]'`.")
        if place == 0 and _OVER_LINES.match(records.text):
            raise InputError(f"{path} has JSON objects over several lines: write one object on each line, for example with `jq -c .`.")
        yield records


def _line_numbers(records: Records) -> np.ndarray:
    """Returns the numbers of the lines that are not blank."""
    begins = np.concatenate(([0], records.ends[:-1]))
    spans = zip(begins.tolist(), records.ends.tolist(), strict=True)
    return records.lines[[bool(records.text[begin:end].strip()) for begin, end in spans]]


def _known_types(schema: pa.Schema) -> pa.Schema | None:
    """Returns the types of columns if all are known, for the next rows; other keys are passed over there, which is faster."""
    return None if any("null" in str(kind) for kind in schema.types) else schema


def _by_arrow(records: Records, wanted: Sequence[str], types: pa.Schema | None = None) -> pa.Table | None:
    """Returns the keys as columns; None where Arrow's reader refuses a line, would change a value, finds two objects in a line, or takes
    bytes for text that are not UTF-8.
    """
    if _may_be_deep(records):
        return None
    read = pa.json.ReadOptions(use_threads=False, block_size=len(records.text) + 1)
    parse = pa.json.ParseOptions(explicit_schema=types, unexpected_field_behavior="ignore" if types else "infer")
    try:
        table = pa.json.read_json(pa.BufferReader(records.text), read, parse)
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    as_text = pa.schema([(field.name, _without_times(field.type)) for field in table.schema])
    if as_text != table.schema:
        return _by_arrow(records, wanted, as_text)
    columns = [table[name] for name in table.column_names if name in wanted]
    if table.num_rows != len(_line_numbers(records)) or any(_is_changed(column) or not _is_utf_8(column) for column in columns):
        return None
    return table


def _may_be_deep(records: Records) -> bool:
    """Whether a line may be nested so deeply that Arrow's reader, which has no limit, would end the process."""
    data = np.frombuffer(records.text, np.uint8)
    brackets = np.flatnonzero((data == ord("[")) | (data == ord("{")))
    return bool(np.bincount(np.searchsorted(records.ends, brackets, "right"), minlength=1).max() > _MOST_BRACKETS)


def _without_times(kind: pa.DataType) -> pa.DataType:
    """Returns the type with text for times, since Arrow's reader takes some texts for times, and a text must stay as it is."""
    if pa.types.is_list(kind):
        return pa.list_(_without_times(kind.value_type))
    return pa.string() if pa.types.is_timestamp(kind) else kind


def _is_changed(column: pa.ChunkedArray) -> bool:
    """Whether whole numbers may have lost digits in a column of floats, or of lists of them."""
    while pa.types.is_list(column.type):
        column = pc.list_flatten(column)
    return pa.types.is_floating(column.type) and pc.any(pc.greater_equal(pc.abs(column), _EXACT)).as_py() is True


def _is_utf_8(column: pa.ChunkedArray) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _selected(table: pa.Table, wanted: Sequence[str], numbers: np.ndarray) -> RawRows:
    names = table.column_names
    columns = [table[name].combine_chunks() if name in names else pa.nulls(table.num_rows) for name in wanted]
    return RawRows(pa.RecordBatch.from_arrays(columns, list(wanted)), numbers, {})


def _by_python(records: Records, wanted: Sequence[str]) -> tuple[RawRows, list[str]]:
    """Returns the rows, and the keys that they have."""
    objects, broken = _objects(records)
    columns, faults = [], dict[int, str]()
    for name in wanted:
        column, wrong = column_of(name, [row.get(name) for row in objects.values()])
        columns.append(column)
        faults = wrong | faults
    rows = RawRows(pa.RecordBatch.from_arrays(columns, list(wanted)), np.array(list(objects), np.int64), broken)
    return rows.without(faults), list(dict.fromkeys(key for row in objects.values() for key in row))


def _objects(records: Records) -> tuple[dict[int, dict[str, Any]], dict[int, str]]:
    """Returns the objects, and what is wrong with other lines, by the numbers of the lines."""
    objects, broken, begin = dict[int, dict[str, Any]](), dict[int, str](), 0
    for number, end in zip(records.lines.tolist(), records.ends.tolist(), strict=True):
        line, begin = records.text[begin:end], end
        try:
            row = json.loads(line.decode(errors="surrogateescape")) if line.strip() else {}
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            broken[number] = "it is not a JSON object; each line must be one"
        elif line.strip():
            objects[number] = row
    return objects, broken
