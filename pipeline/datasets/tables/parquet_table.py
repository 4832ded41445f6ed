"""Reads Parquet with Arrow's reader."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from components.base.errors import InputError
from pipeline.datasets.tables.raw_rows import BATCH_SIZE, RawRows, check_names
from pipeline.datasets.tables.text_stream import check_file


def parquet_names(path: Path) -> list[str]:
    """Returns the names of the columns.

    Raises:
        InputError: The file cannot be read.
    """
    check_file(path)
    try:
        return pa.parquet.read_schema(path).names
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def read_parquet(path: Path, wanted: Sequence[str]) -> Iterator[RawRows]:
    """Yields the wanted columns.

    Raises:
        InputError: The file cannot be read; or a column is missing, or there several times.
    """
    check_names(path, wanted, parquet_names(path))
    begin = 1
    try:
        with pa.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_SIZE, columns=list(wanted)):
                columns = [batch.column(name) for name in wanted]
                numbers = np.arange(begin, begin + batch.num_rows)
                rows = RawRows(pa.RecordBatch.from_arrays(columns, list(wanted)), numbers, {}, "row")
                yield rows.without(dict(_not_text(rows.columns)))
                begin += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _not_text(columns: pa.RecordBatch) -> Iterator[tuple[int, str]]:
    """Yields the places of rows that hold text that is not UTF-8, and what is wrong."""
    for name, column in zip(columns.schema.names, columns.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            for place, value in enumerate(column):
                try:
                    value.as_py()
                except UnicodeDecodeError as error:
                    yield place, f"{name} holds {error.object!r:.80}, which is not text in UTF-8"
                except (ValueError, OverflowError):  # a time that Python does not have; whoever reads it says so
                    continue


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read ({error}): write or download it again.")
