"""A source whose rows are written in a test, and the impressions that an import made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from components.base.tfrecord import read_batches
from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.importing.import_source import import_source
from pipeline.datasets.layout import SPLITS
from pipeline.datasets.sources.interactions import Tally

Row = dict[str, Any]


@dataclass(frozen=True)
class ListSource:
    """A source with one file for each list of rows."""

    rows: list[list[Row]]
    folder: Path
    has_negatives: bool = True
    history: Literal["earlier", "before"] = "earlier"
    repeats: Literal["latest", "all"] = "all"
    types: dict[str, pa.DataType] = field(default_factory=dict)
    name: str = "list"

    @property
    def rules(self) -> dict[str, str]:
        return {"label": "as the test says"}

    @property
    def schema(self) -> pa.Schema:
        names = list(self.rows[0][0])
        return pa.schema([(name, self.types.get(name, pa.int64())) for name in names])

    def files(self) -> list[Path]:
        """The name of a file is the number of its list; its size is 100 bytes."""
        self.folder.mkdir(exist_ok=True)
        paths = [self.folder / str(index) for index in range(len(self.rows))]
        for path in paths:
            path.write_bytes(bytes(100))
        return paths

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """A few rows at a time, so that there are several batches."""
        rows = self.rows[int(file.name)]
        size = max(2, len(rows) // 20)
        for begin in range(0, len(rows), size):
            yield pa.RecordBatch.from_pylist(rows[begin : begin + size], self.schema)


def to_rows(batch: pa.RecordBatch) -> list[Row]:
    """Rows with scalars as values (None where missing) and histories as lists."""
    columns = {name: column.to_pylist() for name, column in zip(batch.schema.names, batch.columns, strict=True)}
    for name, values in columns.items():
        columns[name] = [value or [] if name.startswith("historical_") else (value or [None])[0] for value in values]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def impressions(out: Path, splits: Sequence[str] = SPLITS) -> dict[str, list[Row]]:
    """The impressions of each split, in the order of the files."""
    return {
        split: [row for path in sorted((out / split).iterdir()) for batch in read_batches(path) for row in to_rows(batch)]
        for split in splits
    }


def event(user: int, item: int, time: int, label: int = 1, **more: Any) -> Row:
    return {"user_id": user, "candidate_item_id": item, "candidate_category_id": item % 3, "timestamp": time, "label": label, **more}


def brought_in(
    tmp_path: Path, rows: list[Row], *, source: dict[str, Any] | None = None, **settings: Any
) -> tuple[dict[str, Any], dict[str, list[Row]]]:
    """The manifest and the impressions of one file of rows."""
    manifest = import_source(ListSource([rows], tmp_path / "files", **(source or {})), tmp_path / "out", ImportSettings(**settings))
    return manifest, impressions(tmp_path / "out")
