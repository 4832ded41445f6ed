"""Reads tables in CSV, TSV, JSON lines or Parquet as streams of raw columns, with the numbers of the rows."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import BATCH_SIZE
from pipeline.datasets.sources.text_lines import header_of, read_lines, read_rows, width_fault

_TEXT = {".csv": ",", ".tsv": "\t"}
_JSON = (".jsonl", ".json")
KINDS = ".csv, .tsv, .jsonl or .json (each .gz too), or .parquet"


class Chunk(NamedTuple):
    """Some rows.

    Attributes:
        numbers: The number of each row from 1: its line in the file, or its place in a Parquet file.
        columns: Raw values by the name of the column in the log; None where missing, `Unreadable` where Python has no such value.
        broken: What is wrong with each broken line, by its number; these lines are not among the rows.
        unit: What the numbers count: "line" or "row".
    """

    numbers: Sequence[int]
    columns: dict[str, list[Any]]
    broken: dict[int, str]
    unit: str = "line"


@dataclass(frozen=True)
class Unreadable:
    """A value of Parquet that Python cannot hold, such as a time after the year 9999. It is never legal.

    Args:
        fault: Why Python cannot hold it.
    """

    fault: str

    def __repr__(self) -> str:
        return f"({self.fault})"


def is_table(path: Path) -> bool:
    """Whether the suffix is one of `KINDS`."""
    return _suffix(path) in (*_TEXT, *_JSON, ".parquet")


def read_table(path: Path, wanted: Sequence[str], separator: str = "", encoding: str = "utf-8") -> Iterator[Chunk]:
    """Yields the wanted columns, at most `BATCH_SIZE` rows at a time.

    Args:
        path: A table of one of the `KINDS`.
        wanted: Names of columns. In JSON lines a key may be missing in some lines, but not in all.
        separator: Between the values of text; "": a comma, or a tab in .tsv.
        encoding: The encoding of text and JSON.

    Raises:
        InputError: The file cannot be read, or a column is missing.
    """
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    suffix = _suffix(path)
    try:
        if suffix == ".parquet":
            yield from _read_parquet(path, wanted)
        elif suffix in _JSON:
            yield from _read_json(path, wanted, encoding)
        elif suffix in _TEXT:
            yield from _read_text(path, wanted, separator or _TEXT[suffix], encoding)
        else:
            raise InputError(f"{path} is not a kind of table that can be read: its name must end in {KINDS}.")
    except UnicodeError as error:
        raise InputError(f"{path} cannot be read as {encoding} ({error}): set files.encoding in the mapping.") from error


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _missing(path: Path, column: str, found: Sequence[str]) -> InputError:
    return InputError(f"{path} has no column {column!r} (it has: {', '.join(found)}): name one of these in the mapping.")


def _check_columns(path: Path, wanted: Sequence[str], header: Sequence[str]) -> None:
    for column in wanted:
        if column not in header:
            raise _missing(path, column, header)
        if header.count(column) > 1:
            raise InputError(f"{path} has several columns {column!r}: rename all but one.")


def _read_text(path: Path, wanted: Sequence[str], separator: str, encoding: str) -> Iterator[Chunk]:
    rows = read_rows(path, separator, encoding)
    header = header_of(path, rows)
    _check_columns(path, wanted, header)
    width, places = len(header), [header.index(column) for column in wanted]
    while batch := list(islice(rows, BATCH_SIZE)):
        broken = {number: width_fault(row, f" where the header has {width}") for number, row in batch if len(row) != width}
        sound = [(number, row) for number, row in batch if len(row) == width] if broken else batch
        columns = {column: [row[place] for _, row in sound] for column, place in zip(wanted, places, strict=True)}
        yield Chunk([number for number, _ in sound], columns, broken)


def _read_json(path: Path, wanted: Sequence[str], encoding: str) -> Iterator[Chunk]:
    unseen, seen = set(wanted), dict[str, None]()
    lines = read_lines(path, encoding)
    while True:
        batch = [(number, _parse(line)) for number, line in islice(lines, BATCH_SIZE)]
        sound = [(number, row) for number, row in batch if row is not None]
        for row in (row for _, row in sound if unseen):
            unseen.difference_update(row)
            seen.update(dict.fromkeys(row))
        if len(batch) < BATCH_SIZE and unseen and seen:  # at the end: a column that no row has is named, before rows are called broken
            raise _missing(path, next(column for column in wanted if column in unseen), list(seen))
        if not batch:
            return
        broken = {number: "it is not a JSON object; each line must be one" for number, row in batch if row is None}
        columns = {column: [row.get(column) for _, row in sound] for column in wanted}
        yield Chunk([number for number, _ in sound], columns, broken)


def _parse(line: str) -> dict[str, Any] | None:
    """Returns the JSON object of a line; None where it is not one."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _read_parquet(path: Path, wanted: Sequence[str]) -> Iterator[Chunk]:
    try:
        with pa.parquet.ParquetFile(path) as file:
            _check_columns(path, wanted, file.schema_arrow.names)
            begin = 1
            for batch in file.iter_batches(BATCH_SIZE, columns=list(wanted)):
                columns = {column: _to_python(batch.column(column)) for column in wanted}
                yield Chunk(range(begin, begin + batch.num_rows), columns, {}, "row")
                begin += batch.num_rows
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: name the file or folder that holds the data.") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read ({error}): write or download it again.") from error


def _to_python(column: pa.Array) -> list[Any]:
    """Returns the values, decimals as floats."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    try:
        return column.to_pylist()  # all values at once: faster
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError) as error:
        return Unreadable(str(error))
