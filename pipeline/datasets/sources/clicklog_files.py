"""Tables in CSV, TSV, JSON lines or Parquet, as streams of raw columns with the numbers of their rows."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet

from pipeline.datasets.sources.interactions import BATCH_SIZE, Tally
from pipeline.datasets.sources.text_lines import header_of, read_lines, read_rows
from pipeline.errors import InputError

_TEXT = {".csv": ",", ".tsv": "\t"}
_JSON = (".jsonl", ".json")
KINDS = ".csv, .tsv, .jsonl or .json (each .gz too), or .parquet"


class Chunk(NamedTuple):
    """Some rows.

    Attributes:
        numbers: Of each row: its line in the file, or its place in a Parquet file, from 1.
        columns: Raw values by the log's name of the column; None where missing.
    """

    numbers: Sequence[int]
    columns: dict[str, Sequence[Any]]


def is_table(path: Path) -> bool:
    """Whether the suffix is one of `KINDS`."""
    return _suffix(path) in (*_TEXT, *_JSON, ".parquet")


def read_table(path: Path, wanted: Sequence[str], tally: Tally, separator: str = "", encoding: str = "utf-8") -> Iterator[Chunk]:
    """The wanted columns, at most `BATCH_SIZE` rows at a time.

    Args:
        path: A table of one of `KINDS`.
        wanted: Names of columns. In JSON lines a key may be missing in some lines, but not in all.
        tally: Told of lines that are no rows.
        separator: Of text; "": a comma, or a tab in .tsv.
        encoding: Of text and JSON.

    Raises:
        InputError: The file cannot be read, or a column is missing.
    """
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    suffix = _suffix(path)
    try:
        if suffix == ".parquet":
            yield from _read_parquet(path, wanted)
        elif suffix in _JSON:
            yield from _read_json(path, wanted, tally, encoding)
        elif suffix in _TEXT:
            yield from _read_text(path, wanted, tally, separator or _TEXT[suffix], encoding)
        else:
            raise InputError(f"{path} is of no kind that is known: its name is to end in {KINDS}.")
    except UnicodeError as error:
        raise InputError(f"{path} cannot be read as {encoding} ({error}): set files.encoding in the mapping.") from error


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _missing(path: Path, column: str, found: Sequence[str]) -> InputError:
    return InputError(f"{path} has no column {column!r} (it has: {', '.join(found)}): name one of these in the mapping.")


def _read_text(path: Path, wanted: Sequence[str], tally: Tally, separator: str, encoding: str) -> Iterator[Chunk]:
    rows = read_rows(path, separator, encoding)
    header = header_of(path, rows)
    for column in wanted:
        if column not in header:
            raise _missing(path, column, header)
        if header.count(column) > 1:
            raise InputError(f"{path} has several columns {column!r}: rename all but one.")
    places = [header.index(column) for column in wanted]

    def sound() -> Iterator[tuple[int, list[str]]]:
        for number, row in rows:
            if len(row) == len(header):
                yield number, row
            else:
                tally.break_off(path, number, f"it has {len(row)} value(s) where the header has {len(header)}")

    lines = sound()
    while batch := list(islice(lines, BATCH_SIZE)):
        numbers, values = zip(*batch, strict=True)
        yield Chunk(numbers, {column: [row[place] for row in values] for column, place in zip(wanted, places, strict=True)})


def _read_json(path: Path, wanted: Sequence[str], tally: Tally, encoding: str) -> Iterator[Chunk]:
    unseen, seen = set(wanted), dict[str, None]()

    def sound() -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in read_lines(path, encoding):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                if unseen:
                    unseen.difference_update(row)
                    seen.update(dict.fromkeys(row))
                yield number, row
            else:
                tally.break_off(path, number, "it is no JSON object, one of which belongs on each line")

    lines = sound()
    while True:
        batch = list(islice(lines, BATCH_SIZE))
        if len(batch) < BATCH_SIZE and unseen and seen:  # the end, before a row is called broken for what all rows lack
            raise _missing(path, next(column for column in wanted if column in unseen), list(seen))
        if not batch:
            return
        numbers, objects = zip(*batch, strict=True)
        yield Chunk(numbers, {column: [row.get(column) for row in objects] for column in wanted})


def _read_parquet(path: Path, wanted: Sequence[str]) -> Iterator[Chunk]:
    try:
        with pa.parquet.ParquetFile(path) as file:
            for column in wanted:
                if column not in file.schema_arrow.names:
                    raise _missing(path, column, file.schema_arrow.names)
            begin = 1
            for batch in file.iter_batches(BATCH_SIZE, columns=list(wanted)):
                yield Chunk(range(begin, begin + batch.num_rows), {column: batch.column(column).to_pylist() for column in wanted})
                begin += batch.num_rows
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: name the file or folder that holds the data.") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read ({error}): write or download it again.") from error
