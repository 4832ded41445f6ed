"""The last step of an import: each shard of impressions is sorted by time and written, into a split or a day."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.day_writer import DayWriter
from pipeline.datasets.importing.arrow_files import read_table
from pipeline.datasets.importing.days import day_starts
from pipeline.datasets.importing.import_report import joined_range, time_range
from pipeline.datasets.importing.user_order import ORDER, times
from pipeline.datasets.layout import SPLITS, DatasetWriter, to_lists
from pipeline.datasets.sources.interactions import BATCH_SIZE, HISTORICAL, HISTORICAL_ITEMS, LABEL, further_labels
from pipeline.datasets.spans import IMPRESSIONS, day_of


@dataclass
class Written:
    """What is counted while impressions are written."""

    count: int = 0
    positives: int = 0
    empty: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    ranges: list[dict[str, int] | None] = field(default_factory=list)

    def add(self, table: pa.Table) -> None:
        """Counts some impressions."""
        histories = [name for name in table.column_names if name.startswith(HISTORICAL)]
        history = HISTORICAL_ITEMS if HISTORICAL_ITEMS in histories else histories[0]
        self.count += table.num_rows
        self.positives += pc.sum(table[LABEL]).as_py()
        self.labels.update({name: pc.sum(table[name]).as_py() for name in further_labels(table.schema)})
        self.empty += pc.sum(pc.equal(pc.fill_null(pc.list_value_length(table[history]), 0), 0)).as_py()
        self.ranges.append(time_range(table))

    @property
    def facts(self) -> dict[str, Any]:
        """The range of times, and shares of the impressions; None where there are none."""
        return {
            "time_range": joined_range(self.ranges),
            "base_rate": self.positives / self.count if self.count else None,
            "label_rates": {name: positives / self.count for name, positives in self.labels.items() if self.count},
            "empty_histories": self.empty / self.count if self.count else None,
        }


def write_splits(made: Path, writer: DatasetWriter) -> dict[str, dict[str, Any]]:
    """Writes all splits.

    Args:
        made: The shards, `made/<split>/<shard>/*.arrow`.
        writer: Where they go.

    Returns:
        Facts by split.
    """
    facts = {}
    for index, name in enumerate(SPLITS):
        written = Written()
        for table in _sorted_shards(made / str(index)):
            written.add(table)
            for batch in _batches(table):
                writer.write(name, batch)
        facts[name] = written.facts
    return facts


def write_days(made: Path, writer: DayWriter, origin: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Writes all days, each with its manifest.

    Args:
        made: The shards, `made/0/<shard>/*.arrow`, in the order of time.
        writer: Where they go.
        origin: What each manifest says about where the data comes from.

    Returns:
        Facts of all days together, as `write_splits` of one split.
    """
    whole, written, day = Written(), Written(), None
    for table in _sorted_shards(made / "0"):
        whole.add(table)
        for part in _by_day(table):
            today = day_of(int(times(part)[0]))
            if day is not None and today != day:
                _describe_day(writer, day, written, origin)
                written = Written()
            day = today
            written.add(part)
            for batch in _batches(part):
                writer.write(day, batch)
    if day is not None:
        _describe_day(writer, day, written, origin)
    return {IMPRESSIONS: whole.facts}


def _describe_day(writer: DayWriter, day: date, written: Written, origin: dict[str, Any]) -> None:
    facts = written.facts
    shares = {name: {IMPRESSIONS: facts[name]} for name in ("base_rate", "empty_histories")}
    writer.describe_day(day, {**origin, "day": day.isoformat(), "time_range": facts["time_range"], **shares})


def _by_day(table: pa.Table) -> Iterator[pa.Table]:
    """Yields the rows of each day of a table that is sorted by time."""
    starts = day_starts(times(table))
    for begin, end in zip(starts, [*starts[1:], table.num_rows], strict=True):
        yield table.slice(begin, end - begin)


def _sorted_shards(folder: Path) -> Iterator[pa.Table]:
    for shard in sorted(folder.iterdir()) if folder.exists() else []:
        table = read_table(sorted(shard.iterdir()))
        assert table is not None
        yield table.take(np.lexsort((table[ORDER].to_numpy(), times(table))))


def _batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    for begin in range(0, table.num_rows, BATCH_SIZE):
        yield to_lists(table.slice(begin, BATCH_SIZE).drop_columns([ORDER]))
