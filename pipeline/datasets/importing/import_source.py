"""Imports real data into the one TFRecord layout, whatever its source and size.

    read         reads each file as a stream and scatters its interactions by user into parts
    order        sorts the interactions of a part's users by time, drops repetitions and counts items
    impressions  adds negatives, histories and splits, and scatters the impressions by time into shards
    write        sorts each shard by time and writes it as TFRecords

The steps work on one file, part or shard after another, so memory is bounded by the largest part, not by the data. Between the steps lie
Arrow files, in a scratch folder beside the data set; they are deleted at the end, also after an error.

The import runs in one process, without Beam: rows are appended to files, and an engine that retries work would write them twice.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.errors import InputError
from pipeline.datasets.day_writer import DayWriter
from pipeline.datasets.importing.arrow_files import read_batches, read_table
from pipeline.datasets.importing.column_counts import value_report
from pipeline.datasets.importing.days import check_dates
from pipeline.datasets.importing.import_report import import_rules, joined_range, row_report
from pipeline.datasets.importing.import_settings import ImportSettings, resolve_settings
from pipeline.datasets.importing.impression_maker import CLICKS, TIED_CLICK, ImpressionMaker, MadeCounts
from pipeline.datasets.importing.part_steps import FILE_BITS, ROWS, count_items, make_part, order_part, plain, read_file
from pipeline.datasets.importing.splits import Cuts, split_sizes, values_at_ranks
from pipeline.datasets.importing.user_order import times
from pipeline.datasets.importing.usual_ranges import coarse_clock, warnings
from pipeline.datasets.importing.write_steps import write_days, write_splits
from pipeline.datasets.layout import MANIFEST, SHARD_SIZE, SPLITS, DatasetWriter
from pipeline.datasets.sources.interactions import CANDIDATE, ITEM, LABEL, TIMESTAMP, Source
from pipeline.terminal import Progress

_PART_BYTES = 2_000_000  # a part of the users for about this many bytes of the source's files; each thread has one in memory
_PACKED = (".gz", ".bz2", ".zst")
_PACKED_FACTOR = 5  # how much larger a packed file is once unpacked, about
_MOST_PARTS = 512
_T = TypeVar("_T")


def import_source(
    source: Source, out: Path, settings: ImportSettings | None = None, command: str = "", progress: Progress | None = None
) -> dict[str, Any]:
    """Writes a data set from the interactions of a source.

    Args:
        source: Where the interactions come from.
        out: Folder to make; it must be new or empty.
        settings: How impressions are made and split.
        command: What the user typed, for the manifest.
        progress: Shows each step.

    Returns:
        The manifest as written to `out/manifest.json`.

    Raises:
        InputError: The source cannot be read or is empty, the settings do not fit it, or `out` cannot be used.
    """
    chosen = resolve_settings(source, settings or ImportSettings())
    with DayWriter(out, SHARD_SIZE) if chosen.spans else DatasetWriter(out, SHARD_SIZE) as writer:
        writer.manifest = {"command": command, **_Import(source, chosen, writer, command, progress).execute()}
        if isinstance(writer, DatasetWriter):
            check_splits(writer.counts, writer.manifest)
        elif not writer.counts:
            raise InputError(f"No impression would be on any day ({_reasons(writer.manifest)}).")
    return json.loads((out / MANIFEST).read_text())


def check_splits(counts: dict[str, int], manifest: dict[str, Any]) -> None:
    """Checks that each split has impressions.

    Raises:
        InputError: A split is empty.
    """
    tied = manifest["interactions_without_impression"].get(TIED_CLICK, 0)
    advice = "use another --split, or other shares"
    if counts[SPLITS[0]] and manifest["split"] == "last":
        advice = "each user's rows are split, and a share of them may be less than one; use --split user or time, or larger shares"
    if tied:
        advice = f"{tied:,} clicks are in histories alone, only because {coarse_clock(manifest)}"
    for name, count in counts.items():
        if not count:
            others = ", ".join(f"{counts[other]:,} in {other}" for other in counts if other != name)
            raise InputError(f"No impression would be in {name} ({others}): {advice}.")


def _reasons(manifest: dict[str, Any]) -> str:
    return "; ".join(f"{count:,} {reason}" for reason, count in manifest["interactions_without_impression"].items())


class _Import:
    """One import; each step reads the files that the step before it wrote."""

    def __init__(
        self, source: Source, settings: ImportSettings, writer: DatasetWriter | DayWriter, command: str, progress: Progress | None
    ):
        self._source, self._settings, self._writer, self._command, self._progress = source, settings, writer, command, progress
        self._work = writer.scratch

    def execute(self) -> dict[str, Any]:
        """Writes the splits.

        Returns:
            Entries for the manifest.
        """
        read = self._step("read", self._read)
        self._kept = [result["kept"] for result in read]
        if not any(self._kept):
            raise InputError(self._nothing_left("no interaction", row_report(read, [])))
        ordered = self._step("order", self._order)
        if self._settings.sampled and not any(part["clicks"] for part in ordered):
            raise InputError(self._nothing_left("no click", row_report(read, ordered)))
        if self._settings.spans:
            check_dates(joined_range(part["time_range"] for part in ordered))
        items = self._items()
        maker, made = self._step("impressions", lambda: self._make(items, self._cuts(ordered)))
        splits = self._step("write", self._write)
        manifest = {
            "source": self._source.name,
            "split": self._settings.split,
            "settings": self._settings.model_dump(),
            "rules": {**self._source.rules, **import_rules(self._source, self._settings)},
            "users": sum(part["users"] for part in ordered),
            "items": items.num_rows,
            "clicks": sum(part["clicks"] for part in ordered),
            "rows": row_report(read, ordered),
            "interactions_without_impression": dict(made.dropped),
            "negatives_not_drawn": made.not_drawn,
            "fields_of_first_row": dict(made.replaced),
            "largest_user": max((part["largest_user"] for part in ordered), key=lambda user: user["interactions"]),
            "largest_item": _largest_item(items),
            "values": {**value_report(result["counts"] for result in read), "distinct": _distinct(items)},
            "time_range": joined_range(part["time_range"] for part in ordered),
            "split_time_ranges": {name: split["time_range"] for name, split in splits.items()},
            "base_rate": {name: split["base_rate"] for name, split in splits.items()},
            "label_rates": _label_rates(splits),
            "empty_histories": {name: split["empty_histories"] for name, split in splits.items()},
            "tied_histories": made.tied,
            "known_history_events": maker.known_share(made),
        }
        return {**manifest, "warnings": warnings(manifest)}

    def _nothing_left(self, what: str, rows: dict[str, Any]) -> str:
        reasons = "; ".join([*(f"{count:,} dropped: {reason}" for reason, count in rows["dropped"].items()), *rows["broken"][:1]])
        files = ", ".join(map(str, self._source.files()))
        return f"{files}: {what} is left of {rows['read']:,} rows{f' ({reasons})' if reasons else ''}, so there is nothing to import."

    def _step(self, name: str, work: Callable[[], _T]) -> _T:
        if self._progress:
            self._progress.start(name)
        result = work()
        if self._progress:
            self._progress.finish()
        return result

    def _read(self) -> list[dict[str, Any]]:
        files = self._source.files()
        size = sum(file.stat().st_size * (_PACKED_FACTOR if file.suffix in _PACKED else 1) for file in files)
        parts = min(_MOST_PARTS, 1 + size // _PART_BYTES)
        folder, skip_broken = self._work / "read", self._settings.skip_broken
        return [read_file(self._source, file, index, folder, parts, skip_broken) for index, file in enumerate(files)]

    def _order(self) -> list[dict[str, Any]]:
        return [order_part(self._source, folder, self._work) for folder in sorted((self._work / "read").iterdir())]

    def _ordered_files(self) -> list[Path]:
        return sorted((self._work / "ordered").iterdir())

    def _items(self) -> pa.Table:
        """Returns every item once, in the order of ids, with the fields of its first row, and its clicks."""
        items: pa.Table | None = None
        for file in sorted((self._work / "items").iterdir()):
            table = read_table([file])
            items = count_items(table if items is None else pa.concat_tables([items, table]))
        assert items is not None
        return items

    def _cuts(self, ordered: list[dict[str, Any]]) -> Cuts:
        if self._settings.split == "given":
            return Cuts(draws_validation=not any(part["has_validation"] for part in ordered))
        if self._settings.split != "time":
            return Cuts()
        size = sum(part["clicks" if self._settings.sampled else "interactions"] for part in ordered)
        validation, evaluation = split_sizes(size, self._settings)
        ranks = [max(size - evaluation - validation - 1, 0), max(size - evaluation - 1, 0)]
        train_until, validation_until = values_at_ranks(self._times, ranks)
        return Cuts(train_until, validation_until)

    def _times(self) -> Iterator[np.ndarray]:
        """Yields the times of the interactions that can become impressions."""
        for file in self._ordered_files():
            for batch in read_batches(file):
                table = pa.Table.from_batches([batch])
                yield times(table)[table[LABEL].to_numpy() == 1] if self._settings.sampled else times(table)

    def _popular_in_train(self, items: pa.Table, cuts: Cuts) -> pa.Table:
        """Returns the items with their clicks in train/ only: counts of later clicks would tell the model what is clicked in eval/."""
        maker = ImpressionMaker(self._source, self._settings, items, cuts)
        clicks = items[CLICKS].to_numpy().copy()
        for file in self._ordered_files():
            table = read_table([file])
            assert table is not None
            clicks -= np.bincount(maker.held_out(table), minlength=len(clicks))
        return items.set_column(items.column_names.index(CLICKS), CLICKS, pa.array(clicks))

    def _edges(self, size: int) -> list[int]:
        """Returns the last time of each shard except the last one, so that a shard has about `size` interactions."""
        if TIMESTAMP not in self._source.schema.names:
            return [(file << FILE_BITS) + row for file, kept in enumerate(self._kept) for row in range(size, kept, size)]
        ranks = range(size, sum(len(batch) for batch in self._times()), size)
        return values_at_ranks(self._times, ranks) if ranks else []

    def _make(self, items: pa.Table, cuts: Cuts) -> tuple[ImpressionMaker, MadeCounts]:
        if self._settings.negatives == "popularity":
            items = self._popular_in_train(items, cuts)
        maker = ImpressionMaker(self._source, self._settings, items, cuts)
        edges = self._edges(SHARD_SIZE // maker.copies)
        made = self._writer.pool.map(lambda file: make_part(maker, file, edges, self._work / "made"), self._ordered_files())
        return maker, sum(made, MadeCounts())

    def _write(self) -> dict[str, dict[str, Any]]:
        """Writes all shards; returns time range, base rate and share of empty histories by split, or of all days."""
        if isinstance(self._writer, DayWriter):
            return write_days(self._work / "made", self._writer, {"command": self._command, "source": self._source.name})
        return write_splits(self._work / "made", self._writer)


def _largest_item(items: pa.Table) -> dict[str, Any]:
    rows = items[ROWS].to_numpy()
    return {"item": plain(items[ITEM][int(rows.argmax())]), "interactions": int(rows.max())}


def _distinct(items: pa.Table) -> dict[str, int]:
    """Returns how many different values each further field of the items has that is one value, by the first rows of the items."""
    names = [field.name for field in items.schema if field.name.startswith(CANDIDATE) and not pa.types.is_nested(field.type)]
    return {name: pc.count_distinct(items[name]).as_py() for name in names if name != ITEM}


def _label_rates(splits: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Returns the share of impressions with each further label, by split."""
    labels = dict.fromkeys(label for split in splits.values() for label in split["label_rates"])
    return {label: {name: split["label_rates"][label] for name, split in splits.items() if split["label_rates"]} for label in labels}
