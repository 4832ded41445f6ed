"""Reads RecBole's atomic files of any data set: NAME.inter, with its split or not, and the categories of NAME.item."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.errors import InputError
from pipeline.datasets.layout import SPLITS
from pipeline.datasets.sources.clicklog.fields import feature
from pipeline.datasets.sources.clicklog.log_columns import LogColumns, log_columns
from pipeline.datasets.sources.clicklog.log_reader import LogReader
from pipeline.datasets.sources.clicklog.mapping import Mapping, TimestampMapping
from pipeline.datasets.sources.clicklog.rules import mapping_rules
from pipeline.datasets.sources.clicklog.side_table import SideTable
from pipeline.datasets.sources.clicklog.times import likely_form, to_seconds
from pipeline.datasets.sources.interactions import CATEGORY, HISTORICAL_ITEMS, ITEM, LABEL, SPLIT, TIMESTAMP, USER, Tally, breaks_line
from pipeline.datasets.sources.typed_columns import Column, find_column
from pipeline.datasets.tables.read_table import column_names, read_table
from pipeline.datasets.tables.table_form import TableForm
from pipeline.datasets.tables.typed_values import Typed, by_unique, numbers, texts, without_missing

_FORM = TableForm("csv", "\t", quote="")
_FILES = {"format": "csv", "separator": "\t", "quote": ""}
_SPLITS = re.compile(r"(.+)\.(?:(train)|(valid|validation|dev)|(test))\.inter")  # as in a benchmark; a group for each of SPLITS
_LIKED, _BEST = 4, 5  # least rating of a click, and greatest rating of the scale
_ROLES = {
    USER: Column("user_id", ("userid", "user", "sessionid", "visitorid", "reviewerid")),
    ITEM: Column(
        "item_id",
        ("itemid", "item", "productid", "businessid", "artistid", "venueid", "movieid", "newsid", "trackid", "parentasin", "asin"),
    ),
    LABEL: Column("label", ("label",)),
    "rating": Column("rating", ("rating", "ratings", "stars", "overall", "score")),
    TIMESTAMP: Column("timestamp", ("timestamp", "time", "date", "unixreviewtime")),
    CATEGORY: Column("category", ("class", "genre", "genres", "category", "categories", "categoryid", "cateid", "itemcategory")),
    HISTORICAL_ITEMS: Column("item_id_list", ("itemidlist", "itemlist", "historyitemid")),
}


class _Files(NamedTuple):
    """Files of interactions with their splits (None: there is no split), and the file of items, which may not exist."""

    splits: dict[Path, str | None]
    items: Path


@dataclass(frozen=True)
class RecBole:
    """The interactions of a data set: ids and categories as bytes, times in unix seconds.

    The names of the columns show what they mean. A click is a label of 1, a rating of 4 or more out of 5, or, without either, each row.

    Args:
        source: The folder with NAME.inter, or with NAME.train.inter, NAME.valid.inter (optional) and NAME.test.inter; or a file .inter.
        name: The name in the manifest.
    """

    source: Path
    name: str = "recbole"

    @property
    def rules(self) -> dict[str, str]:
        rules = mapping_rules(self._meaning)
        if self._meaning.items.file:
            rules["items"] = (
                f"{rules['items']}; of several (token_seq) the first: up to the first comma or |, or without one up to the first blank"
            )
        elif CATEGORY not in self._meaning.columns:
            rules["items"] = f"no category, since no column of {self._found.items.name} or of the interactions is called so"
        if TIMESTAMP in self._meaning.columns:
            form = self._meaning.timestamp
            rules["time"] += f"; read as {form.format or form.unit}, by the first rows"
        used = {*self._columns.wanted, self._meaning.items.id, *self._meaning.items.columns.values()}
        rules["not used"] = ", ".join(name for name in self._names if name not in used) or "none of the columns"
        return rules

    @property
    def schema(self) -> pa.Schema:
        return self._columns.schema

    @property
    def has_negatives(self) -> bool:
        return self._meaning.has_label

    @property
    def history(self) -> Literal["earlier", "before"]:
        return "earlier" if TIMESTAMP in self._meaning.columns else "before"

    @property
    def repeats(self) -> Literal["latest", "all"]:
        return "latest" if self._meaning.label.column else "all"

    def files(self) -> list[Path]:
        """Returns the files of interactions.

        Raises:
            InputError: There is none, or there are several that are no split.
        """
        return list(self._found.splits)

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Yields the interactions in the file's order. The categories of the items are held in memory.

        Raises:
            InputError: A file cannot be read, a column is missing, ratings have another scale, or a row is broken and such rows are not
                skipped.
        """
        reader = LogReader(self._meaning, Path("a mapping for din import clicklog"), self._columns, self._items(tally))
        split = SPLITS.index(self._found.splits[file] or SPLITS[0])
        if rating := self._meaning.label.column:
            _check_scale(file, rating, needs_click=len(self.files()) == 1)
        for columns in reader.read(file, self.files().index(file), tally):
            count = len(columns[ITEM])
            constants = {LABEL: pa.array(np.ones(count, np.int64)), SPLIT: pa.array(np.full(count, split))}
            values = constants | columns
            yield pa.RecordBatch.from_pydict({name: values[name] for name in self.schema.names}, schema=self.schema)

    @cached_property
    def _found(self) -> _Files:
        return _find(self.source)

    @cached_property
    def _names(self) -> list[str]:
        return column_names(self.files()[0], _FORM)

    @cached_property
    def _columns(self) -> LogColumns:
        return log_columns(self._meaning)

    @cached_property
    def _meaning(self) -> Mapping:
        """What the columns mean, by their names."""
        file, names = self.files()[0], self._names
        columns = {role: find_column(file, names, _ROLES[role]) for role in (USER, ITEM)}
        columns |= {role: name for role in (LABEL, TIMESTAMP, CATEGORY) if (name := _optional(file, names, role))}
        meaning: dict[str, Any] = {"columns": columns, "files": dict(_FILES)}
        if LABEL not in columns and (rating := _optional(file, names, "rating")):
            meaning["label"] = {"column": rating, "at_least": _LIKED}
        if TIMESTAMP in columns:
            meaning["timestamp"] = _form_of_times(file, columns[TIMESTAMP])
        if history := _optional(file, names, HISTORICAL_ITEMS):
            meaning["histories"] = {HISTORICAL_ITEMS: {"column": history, "separator": " "}}
        if CATEGORY not in columns:
            meaning["items"] = _items_mapping(self._found.items)
        if len(self._found.splits) > 1:
            meaning["files"] |= {split: [path.name] for path, split in self._found.splits.items()}
        return Mapping.model_validate(meaning)

    def _items(self, tally: Tally) -> SideTable | None:
        items = self._meaning.items
        if not items.file:
            return None
        field = feature(self._meaning, CATEGORY, items.columns[CATEGORY])
        field = replace(field, default=None, convert=_first_token if items.columns[CATEGORY].endswith(":token_seq") else texts)
        return SideTable(self._found.items, _FORM, feature(self._meaning, ITEM, items.id), [field], tally)


def _find(source: Path) -> _Files:
    if source.is_file():
        return _Files({source: None}, source.with_suffix(".item"))
    found = sorted(source.glob("*.inter"))
    matches = {path: match for path in found if (match := _SPLITS.fullmatch(path.name))}
    splits = {path: SPLITS[(match.lastindex or 0) - 2] for path, match in matches.items()}
    if len(found) == 1 and not splits:
        return _Files({found[0]: None}, found[0].with_suffix(".item"))
    has_both = {SPLITS[0], SPLITS[-1]} <= {*splits.values()}
    if len(splits) == len(found) == len({*splits.values()}) and has_both and len({match[1] for match in matches.values()}) == 1:
        in_order = sorted(found, key=lambda path: SPLITS.index(splits[path]))
        return _Files({path: splits[path] for path in in_order}, source / f"{next(iter(matches.values()))[1]}.item")
    if not found:
        raise InputError(f"{source} has no file NAME.inter: name the folder or the file that holds the interactions.")
    names = ", ".join(path.name for path in found)
    raise InputError(
        f"{source} holds {names}, which are neither one NAME.inter nor NAME.train.inter, NAME.valid.inter and NAME.test.inter of "
        "one NAME: name one of them."
    )


def _optional(path: Path, names: list[str], role: str) -> str | None:
    try:
        return find_column(path, names, _ROLES[role])
    except InputError:
        return None


def _items_mapping(items: Path) -> dict[str, Any]:
    names = column_names(items, _FORM) if items.is_file() else []
    category = _optional(items, names, CATEGORY)
    if category is None:
        return {}
    return {"file": items.name, "id": find_column(items, names, _ROLES[ITEM]), "columns": {CATEGORY: category}}


def _form_of_times(file: Path, column: str) -> dict[str, Any]:
    """Returns the unit of the times, by the first rows, where they are not likely as unix seconds."""
    rows = next(read_table(file, [column], _FORM), None)
    if rows is None:
        return {}
    found = likely_form(rows.columns[0], to_seconds(rows.columns[0], TimestampMapping()))
    return tomllib.loads(found or "")


def _check_scale(file: Path, column: str, needs_click: bool) -> None:
    """Checks that ratings are from 0 to 5, and that one is a click if it must be.

    Raises:
        InputError: They are not.
    """
    advice = "import it with clicklog, where label.at_least says what a click is"
    best, worst = -np.inf, np.inf
    for rows in read_table(file, [column], _FORM):
        values = numbers(rows.columns[0]).values
        if values.null_count < len(values):
            best, worst = max(best, pc.max(values).as_py()), min(worst, pc.min(values).as_py())
    if best > _BEST or worst < 0:
        raise InputError(f"{file}: {column} is from {worst:g} to {best:g}, but must be a scale from 0 to {_BEST}: {advice}.")
    if needs_click and 0 <= best < _LIKED:
        raise InputError(f"{file}: {column} is at most {best:g}, but only {_LIKED} or more is a click: {advice}.")


def _first_token(raw: pa.Array) -> Typed:
    return by_unique(without_missing(raw), _first, pa.binary())


def _first(text: str) -> bytes | None:
    """Returns the first of several categories: "Action" of "Action Crime", "Hair Care" of "'Hair Care', 'Beauty'" or "Hair Care|Beauty".

    Raises:
        ValueError: It holds NUL.
    """
    parts = re.split(r"[,|]" if re.search(r"[,|]", text) else r"\s", text.strip())
    first = next((part.strip(" \t[]'\"") for part in parts), "").encode()
    if breaks_line(first):
        raise ValueError("a line end or NUL")
    return first or None
