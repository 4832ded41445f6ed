"""Reads any click log in CSV, TSV, JSON lines or Parquet, with a mapping that explains its columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from components.base.errors import InputError
from din_trainer.features import HISTORICAL_TIMESTAMPS
from pipeline.datasets.layout import SPLITS
from pipeline.datasets.manifest import MANIFEST
from pipeline.datasets.sources.clicklog.cell_values import UNKNOWN, Field, label_field, list_field, scalar_field, time_field
from pipeline.datasets.sources.clicklog.item_table import Items, item_id, read_items
from pipeline.datasets.sources.clicklog.mapping import Mapping, label_text, read_mapping
from pipeline.datasets.sources.clicklog.table_files import KINDS, Chunk, is_table, read_table
from pipeline.datasets.sources.interactions import CANDIDATE, ITEM, LABEL, REQUEST, SPLIT, TIMESTAMP, USER, Tally


@dataclass(frozen=True)
class ClickLog:
    """The impressions of a log.

    Args:
        source: A table, or a folder with tables in it or in its subfolders. The suffix shows the kind of a table. Data sets that an import
            has made are skipped.
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

    def __post_init__(self) -> None:
        meaning = read_mapping(self.mapping)
        fields = _fields(meaning)
        schema = [(LABEL, pa.int64()), *((f.name, f.type) for f in fields if f.name != LABEL)]
        schema += [(SPLIT, pa.int64())] * bool(meaning.files.train)
        object.__setattr__(self, "history", "earlier" if TIMESTAMP in meaning.columns else "before")
        object.__setattr__(self, "has_negatives", bool(meaning.label_column) and meaning.label.negative != ())
        object.__setattr__(self, "rules", _rules(meaning))
        object.__setattr__(self, "schema", pa.schema(schema))
        object.__setattr__(self, "meaning", meaning)

    def files(self) -> list[Path]:
        """Returns the tables in the order of their names; with a given split, those of train, then validation, then eval."""
        if not self.source.exists():
            raise InputError(f"{self.source} is missing: name the file or folder that holds the log.")
        if self.meaning.files.train:
            return list(self._splits)
        if self.source.is_file():
            return [self.source]
        side = self._item_file
        made = {manifest.parent for manifest in self.source.rglob(MANIFEST) if manifest.with_name(SPLITS[0]).is_dir()} - {self.source}
        tables = [path for path in sorted(self.source.rglob("*")) if is_table(path) and path != side and made.isdisjoint(path.parents)]
        found = [path for path in tables if _is_data(path, self.source)]
        if not found:
            raise InputError(f"{self.source} holds no table: put files there whose names end in {KINDS}.")
        return found

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Yields the impressions in the file's order. The fields of a side table are held in memory.

        Raises:
            InputError: As in `Source.read`; also where the log is one file and no row has a value of `label.positive`.
        """
        fields = _fields(self.meaning)
        joined = {_joined(self.meaning, name) for name in self.meaning.items.columns}
        wanted = list(dict.fromkeys(f.column for f in fields if f.column not in joined))
        files, size, clicks = self.meaning.files, 0, 0
        for chunk in read_table(file, wanted, files.separator, files.encoding):
            if joined:
                self._join(chunk)
            columns = _typed(file, chunk, fields, tally)
            added = len(columns[USER])
            columns.setdefault(LABEL, [1] * added)
            if files.train:
                columns[SPLIT] = [SPLITS.index(self._splits[file])] * added
            size, clicks = size + added, clicks + columns[LABEL].count(1)
            batch = pa.RecordBatch.from_arrays([pa.array(columns[f.name], f.type) for f in self.schema], schema=self.schema)
            known = batch.filter(batch.column(LABEL).is_valid())
            tally.drop("neither positive nor negative", batch.num_rows - known.num_rows)
            yield known
        if size and not clicks and self.meaning.label.positive and self.files() == [file]:
            label = self.meaning.label
            raise InputError(f"{file}: {label.column} is never {_words(label.positive)}: correct label.positive in {self.mapping}.")

    def _join(self, chunk: Chunk) -> None:
        """Adds the columns of the side table."""
        item = _field(self.meaning, ITEM, self.meaning.columns[ITEM])
        found = [self._item_fields.get(item_id(item, raw)) for raw in chunk.columns[item.column]]
        for place, name in enumerate(self.meaning.items.columns):
            chunk.columns[_joined(self.meaning, name)] = [values[place] if values else None for values in found]

    @property
    def _item_file(self) -> Path | None:
        folder = self.source if self.source.is_dir() else self.source.parent
        return folder / self.meaning.items.file if self.meaning.items.file else None

    @cached_property
    def _item_fields(self) -> Items:
        assert self._item_file is not None
        items, files = self.meaning.items, self.meaning.files
        return read_items(self._item_file, items, _field(self.meaning, ITEM, items.id), files.separator, files.encoding)

    @cached_property
    def _splits(self) -> dict[Path, str]:
        """Returns the split of each file."""
        if not self.source.is_dir():
            raise InputError(f"{self.source} is not a folder, but [files] in {self.mapping} gives a split by files in a folder.")
        splits: dict[Path, str] = {}
        for split, patterns in self.meaning.files.patterns.items():
            for pattern in patterns:
                found = sorted(path for path in self.source.glob(pattern) if path.is_file())
                if not found:
                    raise InputError(f"{self.source} has no file {pattern!r}, which files.{split} in {self.mapping} names.")
                for path in found:
                    if splits.setdefault(path, split) != split:
                        raise InputError(f"{path} is in {splits[path]} and in {split}: correct [files] in {self.mapping}.")
        return splits


def _fields(meaning: Mapping) -> list[Field]:
    """Returns the columns to read, in the order of the mapping."""
    fields = [_field(meaning, name, column) for name, column in meaning.columns.items() if name != LABEL]
    fields += [_field(meaning, name, _joined(meaning, name)) for name in meaning.items.columns]
    for name, history in meaning.histories.items():
        is_time = name == HISTORICAL_TIMESTAMPS
        element = (
            time_field(name, history.column, meaning.timestamp.unit)
            if is_time
            else scalar_field(name, history.column, meaning.dtype(name), is_id=True)
        )
        fields.append(list_field(element, history.separator))
    if meaning.label_column:
        fields.append(label_field(LABEL, meaning.label, meaning.label_column))
    return fields


def _field(meaning: Mapping, name: str, column: str) -> Field:
    if name == TIMESTAMP:
        return time_field(name, column, meaning.timestamp.unit)
    dtype = meaning.dtype(name)
    is_further = name.startswith(CANDIDATE) and name != ITEM
    default = UNKNOWN if is_further and dtype == "bytes" else None
    return scalar_field(name, column, dtype, is_id=is_further or name in (USER, ITEM, REQUEST), default=default)


def _joined(meaning: Mapping, name: str) -> str:
    """Returns the name that a column of the side table gets among the columns of the log."""
    return f"{meaning.items.columns[name]} of {meaning.items.file}"


def _is_data(path: Path, folder: Path) -> bool:
    """Whether this is a file of data: neither it nor a folder above it is hidden or begins with _, as Spark's and Hive's own files do."""
    return path.is_file() and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)


def _typed(file: Path, chunk: Chunk, fields: Sequence[Field], tally: Tally) -> dict[str, list[Any]]:
    """Returns typed columns by feature; `tally` counts broken rows, in the file's order."""
    faults, sound = dict(chunk.broken), list(range(len(chunk.numbers)))
    try:  # all rows at once: faster
        typed = {f.name: list(map(f.value, chunk.columns[f.column])) for f in fields}
    except ValueError:
        found = {chunk.numbers[index]: fault for index in sound if (fault := _fault(chunk, index, fields))}
        sound = [index for index in sound if chunk.numbers[index] not in found]
        typed = {f.name: [f.value(chunk.columns[f.column][index]) for index in sound] for f in fields}
        faults |= found
    for number, fault in sorted(faults.items()):
        tally.count_broken(file, number, fault, chunk.unit)
    return typed


def _fault(chunk: Chunk, index: int, fields: Sequence[Field]) -> str | None:
    return next((found for f in fields if (found := f.fault(chunk.columns[f.column][index]))), None)


def _words(values: Sequence[bool | int | str]) -> str:
    return ", ".join(map(label_text, values))


def _rules(meaning: Mapping) -> dict[str, str]:
    """Returns the mapping in words, for the manifest."""
    label = meaning.label
    if not meaning.label_column:
        clicks = "each row is a click"
    elif label.at_least is not None:
        clicks = f"{label.column} of {label.at_least:g} or more is 1, else 0"
    elif label.positive:
        clicks = f"{label.column} of {_words(label.positive)} is 1"
        others = "other rows are dropped" if label.negative is not None else "all others are 0"
        clicks += f", of {_words(label.negative)} is 0; {others}" if label.negative else f"; {others}"
    else:
        clicks = f"{meaning.label_column}, 0 or 1"
    rules = {"label": clicks, "columns": ", ".join(f"{name}: {column}" for name, column in meaning.columns.items())}
    if meaning.items.file:
        joined = ", ".join(f"{name}: {column}" for name, column in meaning.items.columns.items())
        rules["items"] = f"{joined} of {meaning.items.file}, the first row of an item; {UNKNOWN.decode()} where it has none and is bytes"
    if meaning.histories:
        rules["histories"] = "as the log has them: " + ", ".join(f"{name}: {history.column}" for name, history in meaning.histories.items())
    rules["time"] = "the order of the rows"
    if TIMESTAMP in meaning.columns:
        rules["time"] = (
            f"{meaning.columns[TIMESTAMP]} in whole seconds, rounded down: within a second the order of the rows counts; "
            "rows with the same user, item, second and request count once"
        )
    return rules
