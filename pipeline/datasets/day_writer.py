"""Writes a data set of days, as `pipeline/datasets/spans.py` reads it: `day=YYYY-MM-DD/impressions/*.tfrecord.gz`, with a manifest each."""

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.datasets.layout import SHARD_SIZE, FolderWriter
from pipeline.datasets.spans import IMPRESSIONS, day_folder


class DayWriter(FolderWriter):
    """Writes a data set of days, one after the other, as `FolderWriter` does. Days are those of UTC.

    Attributes:
        manifest: The content of `manifest.json` of the whole; the counts are added.
        counts: How many impressions were written, by day.

    Example:
        with DayWriter(Path("data")) as writer:
            writer.write(date(2026, 11, 24), batch)
            writer.describe_day(date(2026, 11, 24), {"oracle": {...}})
    """

    def __init__(self, out: Path, shard_size: int = SHARD_SIZE):
        super().__init__(out, shard_size)
        self.manifest: dict[str, Any] = {}
        self.counts: dict[date, int] = {}

    def write(self, day: date, batch: pa.RecordBatch) -> None:
        """Appends the rows of `batch` to a day; its columns are made by `scalar_column` or `list_column`."""
        self._append(f"{day_folder(day)}/{IMPRESSIONS}", batch)
        self.counts[day] = self.counts.get(day, 0) + batch.num_rows
        self._add_to_sample(day_folder(day), batch)

    def describe_day(self, day: date, manifest: dict[str, Any]) -> None:
        """Ends a day: nothing more is written to it. The manifest of the day is written; the count is added."""
        self._close_shard(f"{day_folder(day)}/{IMPRESSIONS}")
        self._describe(day_folder(day), {**manifest, "examples": {IMPRESSIONS: self.counts[day]}})

    def _finish(self) -> None:
        days = {day.isoformat(): count for day, count in self.counts.items()}
        empty = [day.isoformat() for day in empty_days(sorted(self.counts))]
        self._describe("", {**self.manifest, "days": days, "empty_days": empty, "examples": {IMPRESSIONS: sum(days.values())}})


def empty_days(days: list[date]) -> list[date]:
    """Returns the days between the first and the last that are not among some days, which are in order."""
    return [day + timedelta(more) for day, after in pairwise(days) for more in range(1, (after - day).days)]
