"""Reads a table in CSV, JSON lines or Parquet as a stream of raw columns. Memory is bounded, however long the table or a line is."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.datasets.tables.csv_table import csv_names, read_csv
from pipeline.datasets.tables.json_table import json_names, read_json
from pipeline.datasets.tables.parquet_table import parquet_names, read_parquet
from pipeline.datasets.tables.raw_rows import RawRows
from pipeline.datasets.tables.table_form import TableForm


def column_names(path: Path, form: TableForm | None = None) -> list[str]:
    """Returns the names of a table's columns; of JSON, the keys of its first lines.

    Raises:
        InputError: The file cannot be read.
    """
    form = form or TableForm()
    kind = form.format_of(path)
    if kind == "parquet":
        return parquet_names(path)
    return json_names(path, form) if kind == "json" else csv_names(path, form)


def read_table(path: Path, wanted: Sequence[str], form: TableForm | None = None) -> Iterator[RawRows]:
    """Yields the wanted columns, at most `BATCH_SIZE` rows at a time.

    Args:
        path: The file.
        wanted: Names of columns, each once. In JSON a key may be missing in some lines, but not in all.
        form: How the table is written. None: as the suffix of its name says.

    Raises:
        InputError: The file cannot be read, or a column is missing or there several times.
    """
    form = form or TableForm()
    kind = form.format_of(path)
    if kind == "parquet":
        parts = read_parquet(path, wanted)
    else:
        parts = read_json(path, wanted, form) if kind == "json" else read_csv(path, wanted, form)
    for rows in parts:
        yield from rows.batches()
