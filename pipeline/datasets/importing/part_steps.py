"""The steps of an import, for one file or one part of the users. Each step writes Arrow files for the next step."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.importing.arrow_files import Scatter, append_table, read_table
from pipeline.datasets.importing.column_counts import ColumnCounts
from pipeline.datasets.importing.import_report import time_range
from pipeline.datasets.importing.impression_maker import BORN, CLICKS, ImpressionMaker, MadeCounts
from pipeline.datasets.importing.random_numbers import hashes
from pipeline.datasets.importing.splits import VALIDATION
from pipeline.datasets.importing.user_order import ORDER, changes, codes, in_order, times
from pipeline.datasets.sources.interactions import CANDIDATE, ITEM, LABEL, SPLIT, USER, Source, Tally

ROWS = "rows"  # column: how many rows have an item
_PLACE = "place"  # column: the place of a row in the order of the source
FILE_BITS = 40  # the place of an interaction is the file's index, then the row in these bits


def read_file(source: Source, file: Path, index: int, folder: Path, parts: int, skip_broken: bool) -> dict[str, Any]:
    """Scatters the interactions of the file with this index by user, into `folder/<part>/`."""
    tally, counts, kept = Tally(skip_broken), ColumnCounts(), 0
    with Scatter(folder, f"{index:05d}") as scatter:
        for batch in source.read(file, tally):
            counts.add(batch)
            place = (index << FILE_BITS) + kept + np.arange(batch.num_rows)
            table = pa.Table.from_batches([batch]).append_column(ORDER, pa.array(place))
            scatter.write(table, (hashes(batch.column(USER)) % np.uint64(parts)).astype(np.int64))
            kept += batch.num_rows
    return {"kept": kept, "tally": tally, "counts": counts}


def order_part(source: Source, folder: Path, work: Path) -> dict[str, Any]:
    """Sorts the interactions of a part's users, drops repetitions and counts the part's items.

    Args:
        source: Where the interactions come from.
        folder: The files of the part.
        work: Where `ordered/` and `items/` are written.
    """
    table = read_table(sorted(folder.iterdir()))
    assert table is not None
    ordered = in_order(table, source.repeats)
    table = ordered.table
    append_table(work / "ordered" / f"{folder.name}.arrow", table)
    fields = [name for name in table.column_names if name.startswith(CANDIDATE) or name == ORDER]
    counted = table.select(fields).append_column(CLICKS, table[LABEL]).append_column(ROWS, pa.array(np.ones(table.num_rows, np.int64)))
    counted = counted.append_column(BORN, pa.array(times(table)))
    append_table(work / "items" / f"{folder.name}.arrow", count_items(counted))
    starts = np.flatnonzero(changes(codes(table[USER])))
    sizes = np.diff(np.append(starts, table.num_rows))
    return {
        "users": len(starts),
        "interactions": table.num_rows,
        "clicks": pc.sum(table[LABEL]).as_py(),
        "largest_user": {"user": plain(table[USER][int(starts[sizes.argmax()])]), "interactions": int(sizes.max())},
        "time_range": time_range(table),
        "has_validation": SPLIT in table.column_names and bool((table[SPLIT].to_numpy() == VALIDATION).any()),
        "dropped": ordered.dropped,
        "unordered": ordered.unordered,
    }


def plain(value: pa.Scalar) -> int | str:
    """Returns an id for the manifest: bytes as text."""
    found = value.as_py()
    return found.decode(errors="backslashreplace") if isinstance(found, bytes) else found


def count_items(table: pa.Table) -> pa.Table:
    """Returns each item once, in the order of ids: fields of its first row in the source, first time, sums of its clicks and rows."""
    table = table.sort_by(ORDER)
    aggregated = {_PLACE: "min", CLICKS: "sum", ROWS: "sum", BORN: "min"}
    counted = table.select([ITEM, CLICKS, ROWS, BORN]).append_column(_PLACE, pa.array(np.arange(table.num_rows)))
    grouped = counted.group_by(ITEM, use_threads=False).aggregate(list(aggregated.items())).sort_by(ITEM)
    first = table.take(grouped[f"{_PLACE}_min"])
    sums = {name: grouped[f"{name}_{function}"] for name, function in aggregated.items() if name != _PLACE}
    return pa.table({name: sums.get(name, first[name]) for name in table.column_names})


def make_part(maker: ImpressionMaker, file: Path, edges: list[int], folder: Path) -> MadeCounts:
    """Makes the impressions of a part's users and scatters them by split and time, into `folder/<split>/<shard>/`."""
    table, counts = read_table([file]), MadeCounts()
    assert table is not None
    with Scatter(folder, file.name) as scatter:
        for made in maker.make(table, counts):
            scatter.write(made.table, np.searchsorted(edges, times(made.table)), prefix=f"{made.split}/")
    return counts
