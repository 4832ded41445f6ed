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
from pipeline.datasets.sources.clicklog.fields import Field, feature
from pipeline.datasets.sources.clicklog.list_field import ListField
from pipeline.datasets.sources.clicklog.log_columns import LogColumns, column_of, log_columns
from pipeline.datasets.sources.clicklog.log_files import LogFiles, find_log_files
from pipeline.datasets.sources.clicklog.log_reader import LogReader
from pipeline.datasets.sources.clicklog.mapping import Mapping, read_mapping
from pipeline.datasets.sources.clicklog.rules import mapping_rules, words
from pipeline.datasets.sources.clicklog.side_mapping import ItemsMapping, UsersMapping
from pipeline.datasets.sources.clicklog.side_table import SideTable
from pipeline.datasets.sources.interactions import BATCH_SIZE, ITEM, LABEL, SPLIT, TIMESTAMP, USER, Tally


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
    _tables: dict[tuple[str, bool], SideTable] = field(default_factory=dict, init=False, repr=False)

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
        """Yields the impressions in the file's order. Side tables are held in memory.

        Raises:
            InputError: As in `Source.read`; also where all times are unlikely, or where the log is one file and no row has a value of
                `label.positive`.
        """
        place, size, clicks = self.files().index(file), 0, 0
        for what, count in self._found.notes.items() if place == 0 else ():
            tally.note(what, count)
        items, users = (self._side_table(side, key, tally) for side, key in ((self.meaning.items, ITEM), (self.meaning.users, USER)))
        reader = LogReader(self.meaning, self.mapping, self._columns, items, users)
        split = SPLITS.index(self._found.splits[file] or SPLITS[0])
        for columns in reader.read(file, place, tally):
            count = len(columns[ITEM])
            constants = {LABEL: pa.array(np.ones(count, np.int64)), SPLIT: pa.array(np.full(count, split))}
            batch = pa.RecordBatch.from_pydict({name: (constants | columns)[name] for name in self.schema.names}, schema=self.schema)
            size, clicks = size + count, clicks + (pc.sum(batch[LABEL]).as_py() or 0)
            tally.drop("neither positive nor negative", batch[LABEL].null_count)
            known = batch.filter(batch[LABEL].is_valid())
            for name in self.meaning.labels:
                alone = pc.and_(known[name], pc.equal(known[LABEL], 0))
                tally.warn(f"rows have the label {name} without a click", pc.sum(alone).as_py() or 0)
            yield from (known.slice(begin, BATCH_SIZE) for begin in range(0, known.num_rows, BATCH_SIZE))
        if size and not clicks and self.meaning.label.positive and self.files() == [file]:
            label = self.meaning.label
            raise InputError(f"{file}: {label.column} is never {words(label.positive)}: correct label.positive in {self.mapping}.")

    @cached_property
    def _columns(self) -> LogColumns:
        return log_columns(self.meaning)

    @cached_property
    def _found(self) -> LogFiles:
        side_files = [path for side in (self.meaning.items, self.meaning.users) if (path := self._side_file(side.file))]
        return find_log_files(self.source, self.meaning.files, side_files, self.mapping)

    def _side_file(self, name: str) -> Path | None:
        folder = self.source if self.source.is_dir() else self.source.parent
        return folder / name if name else None

    def _side_table(self, side: ItemsMapping | UsersMapping, key: str, tally: Tally) -> SideTable | None:
        """Returns a side table, which is read once; the tally of that time counts its broken rows."""
        path, meaning = self._side_file(side.file), self.meaning
        if path is None:
            return None
        if (key, tally.skip_broken) not in self._tables:
            fields = [_optional(column_of(meaning, name, column)) for name, column in side.columns.items()]
            table = SideTable(path, meaning.files.side_form(path), feature(meaning, key, side.id), fields, tally)
            self._tables[key, tally.skip_broken] = table
        return self._tables[key, tally.skip_broken]


def _optional(field: Field | ListField) -> Field | ListField:
    return replace(field, required=False, default=None) if isinstance(field, Field) else field
