"""Click logs written by hand, and what is read from them by a mapping, for tests."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.base.errors import InputError
from pipeline.datasets.sources.clicklog.click_log import ClickLog
from pipeline.datasets.sources.interactions import Tally

Row = dict[str, Any]

PLAIN = '[columns]\nuser_id = "user"\ncandidate_item_id = "item"\n'


def text(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def cell_of(value: Any) -> str:
    return "|".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)


def write(path: Path, rows: list[Row]) -> Path:
    """Writes a log in the format of the suffix; lists in CSV are separated by |."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text("\n".join([",".join(rows[0]), *(",".join(map(cell_of, row.values())) for row in rows)]) + "\n")
    return path


def source_of(log: Path, mapping: str) -> ClickLog:
    path = log.parent / "mapping.toml"
    path.write_text(mapping)
    return ClickLog(log, path)


def rows_of(source: ClickLog, tally: Tally | None = None) -> list[Row]:
    tally = tally or Tally()
    batches = [batch for file in source.files() for batch in source.read(file, tally)]
    assert all(batch.schema == source.schema for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def read(log: Path, mapping: str, tally: Tally | None = None) -> list[Row]:
    return rows_of(source_of(log, mapping), tally)


def values(log: Path, mapping: str, name: str, tally: Tally | None = None) -> list[Any]:
    return [row[name] for row in read(log, mapping, tally)]


def refusal(log: Path, mapping: str) -> str:
    with pytest.raises(InputError) as error:
        read(log, mapping)
    return str(error.value)
