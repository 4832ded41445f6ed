"""Reads any click log in CSV, TSV, JSON lines or Parquet, with a mapping that explains its columns."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.errors import InputError
from pipeline.datasets.layout import SPLITS
from pipeline.datasets.sources.clicklog.fields import feature
from pipeline.datasets.sources.clicklog.item_table import ItemTable
from pipeline.datasets.sources.clicklog.log_columns import LogColumns, log_columns
from pipeline.datasets.sources.clicklog.log_files import LogFiles, find_log_files
from pipeline.datasets.sources.clicklog.log_reader import LogReader
from pipeline.datasets.sources.clicklog.mapping import Mapping, read_mapping
from pipeline.datasets.sources.clicklog.rules import mapping_rules, words
from pipeline.datasets.sources.interactions import BATCH_SIZE, ITEM, LABEL, SPLIT, TIMESTAMP, Tally


@dataclass(frozen=True)
class ClickLog:
    """The impressions of a log.

    Args:
        source: A table, or a folder with tables in it or in its subfolders. The suffix shows the kind of a table, or the mapping says it.
            Data sets that an import has made are skipped.
        mapping: The TOML file that `mapping.Mapping` describes.

    Raises:
        InputError: The mapping cannot be read or is wrong.
    """

    source: Path
    mapping: Path
    name: str = "clicklog"
    repeats: Literal["latest", "all"] = "all"
    history: Literal["earlier", "before"] = field(init=False)
    has_negatives: bool = field(init=False)
    rules: dict[str, str] = field(init=False)
    schema: pa.Schema = field(init=False)
    meaning: Mapping = field(init=False)
    _tables: dict[bool, ItemTable] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        meaning = read_mapping(self.mapping)
        object.__setattr__(self, "meaning", meaning)
        object.__setattr__(self, "history", meaning.history or ("earlier" if TIMESTAMP in meaning.columns else "before"))
        object.__setattr__(self, "has_negatives", meaning.has_label and meaning.label.negative != ())
        object.__setattr__(self, "rules", mapping_rules(meaning))
        object.__setattr__(self, "schema", self._columns.schema)

    def files(self) -> list[Path]:
        """Returns the tables in the order of their names; with a given split, those of train, then validation, then eval."""
        return list(self._found.splits)

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Yields the impressions in the file's order. The fields of a side table are held in memory.

        Raises:
            InputError: As in `Source.read`; also where all times are unlikely, or where the log is one file and no row has a value of
                `label.positive`.
        """
        place, size, clicks = self.files().index(file), 0, 0
        for what, count in self._found.notes.items() if place == 0 else ():
            tally.note(what, count)
        reader = LogReader(self.meaning, self.mapping, self._columns, self._items(tally))
        split = SPLITS.index(self._found.splits[file] or SPLITS[0])
        for columns in reader.read(file, place, tally):
            count = len(columns[ITEM])
            constants = {LABEL: pa.array(np.ones(count, np.int64)), SPLIT: pa.array(np.full(count, split))}
            batch = pa.RecordBatch.from_pydict({name: (constants | columns)[name] for name in self.schema.names}, schema=self.schema)
            size, clicks = size + count, clicks + (pc.sum(batch[LABEL]).as_py() or 0)
            tally.drop("neither positive nor negative", batch[LABEL].null_count)
            known = batch.filter(batch[LABEL].is_valid())
            yield from (known.slice(begin, BATCH_SIZE) for begin in range(0, known.num_rows, BATCH_SIZE))
        if size and not clicks and self.meaning.label.positive and self.files() == [file]:
            label = self.meaning.label
            raise InputError(f"{file}: {label.column} is never {words(label.positive)}: correct label.positive in {self.mapping}.")

    @cached_property
    def _columns(self) -> LogColumns:
        return log_columns(self.meaning)

    @cached_property
    def _found(self) -> LogFiles:
        return find_log_files(self.source, self.meaning.files, self._item_file, self.mapping)

    @property
    def _item_file(self) -> Path | None:
        folder = self.source if self.source.is_dir() else self.source.parent
        return folder / self.meaning.items.file if self.meaning.items.file else None

    def _items(self, tally: Tally) -> ItemTable | None:
        """Returns the side table, which is read once; the tally of that time counts its broken rows."""
        path, items = self._item_file, self.meaning.items
        if path is None:
            return None
        if tally.skip_broken not in self._tables:
            meaning = self.meaning
            fields = [replace(feature(meaning, name, column), required=False, default=None) for name, column in items.columns.items()]
            table = ItemTable(path, meaning.files.side_form(path), feature(meaning, ITEM, items.id), fields, tally)
            self._tables[tally.skip_broken] = table
        return self._tables[tally.skip_broken]
