"""A source whose rows a test writes down, and what an import made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from components.base.tfrecord import read_batches
from pipeline.datasets.layout import SPLITS
from pipeline.datasets.sources.interactions import Tally

Row = dict[str, Any]


@dataclass(frozen=True)
class ListSource:
    """Each file is a list of rows."""

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
        """Their names number the lists; their size is 100 bytes."""
        self.folder.mkdir(exist_ok=True)
        paths = [self.folder / str(index) for index in range(len(self.rows))]
        for path in paths:
            path.write_bytes(bytes(100))
        return paths

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Two rows at a time, so that batches have seams."""
        rows = self.rows[int(file.name)]
        for begin in range(0, len(rows), 2):
            yield pa.RecordBatch.from_pylist(rows[begin : begin + 2], self.schema)


def to_rows(batch: pa.RecordBatch) -> list[Row]:
    """Scalars as values (None where missing), histories as lists."""
    return [{k: (v or []) if k.startswith("historical_") else (v or [None])[0] for k, v in row.items()} for row in batch.to_pylist()]


def impressions(out: Path, splits: Sequence[str] = SPLITS) -> dict[str, list[Row]]:
    """Per split, in the order written."""
    return {
        split: [row for path in sorted((out / split).iterdir()) for batch in read_batches(path) for row in to_rows(batch)]
        for split in splits
    }
