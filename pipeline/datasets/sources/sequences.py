"""Reads behaviour sequences in the files of SASRec and S3-Rec: a user and their items in time order, without timestamps."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import BATCH_SIZE, CATEGORY, ITEM, LABEL, USER, Tally
from pipeline.datasets.tables.text_lines import read_lines
from pipeline.datasets.tables.typed_values import INT64_MAX

ATTRIBUTES = "_item2attributes.json"
NO_CATEGORY = 0  # free, since S3-Rec counts attributes from 1
_EXPECTED = "it must be a JSON object with a list of whole numbers for each item"


@dataclass(frozen=True)
class Sequences:
    """Lines of `user item item …` (S3-Rec) or `user item` (SASRec), separated by blanks; ids are whole numbers.

    Each item of a line counts as a row; a broken line counts as one row, however many items are on it.

    Args:
        file: The sequences; several lines of one user are joined in the file's order.
        attributes: JSON, item -> list of attributes; the last one is the category. None: items have no category.

    Raises:
        InputError: The attributes cannot be read.
    """

    file: Path
    attributes: Path | None = None
    name: str = "sequences"
    has_negatives: bool = False
    history: Literal["earlier", "before"] = "before"
    repeats: Literal["latest", "all"] = "all"

    @property
    def rules(self) -> dict[str, str]:
        category = f"the item's last attribute; {NO_CATEGORY} where it has none"
        return {
            "label": "each item of a sequence is a click",
            "rows": "each item of a sequence is one; a broken line is one, however many items are on it",
            "category": category if self.attributes else f"none, since there is no file {self.file.stem}{ATTRIBUTES}",
        }

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(name, pa.int64()) for name in (USER, ITEM, LABEL, *([CATEGORY] if self.attributes else []))])

    def files(self) -> list[Path]:
        return [self.file]

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Yields the interactions, line by line.

        Raises:
            InputError: The file cannot be read or is empty; or a line is broken, and broken lines are not skipped.
        """
        users: list[int] = []
        items: list[int] = []
        number = 0
        for number, line in read_lines(file):
            values = line.split()
            fault = None if _are_short_ids(values) else next((_fault("an id", value) for value in values if not _is_id(value)), None)
            if len(values) < 2:
                fault = "it has no item, but must be a user and their items"
            if fault:
                tally.count_broken(file, number, fault)
                continue
            users += [int(values[0])] * (len(values) - 1)
            items += map(int, values[1:])
            while len(users) >= BATCH_SIZE:
                yield self._batch(users[:BATCH_SIZE], items[:BATCH_SIZE], tally)
                del users[:BATCH_SIZE], items[:BATCH_SIZE]
        if not number:
            raise InputError(f"{file} holds no rows: download it again.")
        yield self._batch(users, items, tally)

    def _batch(self, users: list[int], items: list[int], tally: Tally) -> pa.RecordBatch:
        columns = [users, items, np.ones(len(users), np.int64)]
        if self.attributes:
            categories = [self._category.get(item, NO_CATEGORY) for item in items]
            tally.note(f"rows have an item without an attribute, so its category is {NO_CATEGORY}", categories.count(NO_CATEGORY))
            columns.append(categories)
        return pa.RecordBatch.from_arrays([pa.array(column, pa.int64()) for column in columns], schema=self.schema)

    @cached_property
    def _category(self) -> dict[int, int]:
        assert self.attributes is not None
        try:
            attributes = json.loads(self.attributes.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{self.attributes} cannot be read ({error}): {_EXPECTED}.") from error
        if not isinstance(attributes, dict):
            raise InputError(f"{self.attributes} is not a JSON object: {_EXPECTED}.")
        last = {item: _last(self.attributes, item, values) for item, values in attributes.items() if values}
        return {int(item): attribute for item, attribute in last.items()}


def _last(path: Path, item: str, values: Any) -> int:
    """Returns the last attribute of an item.

    Raises:
        InputError: The item or the attribute is not an id.
    """
    if not _is_id(item):
        fault = _fault("an id", item)
    elif not isinstance(values, list):
        fault = f"{values!r:.80} is not a list"
    elif not _is_id(str(values[-1])):
        fault = _fault("an attribute", str(values[-1]))
    else:
        return int(values[-1])
    raise InputError(f"{path}, item {item!r}: {fault}: {_EXPECTED}.")


def _is_id(text: str) -> bool:
    return text.isdecimal() and text.isascii() and int(text) <= INT64_MAX


def _are_short_ids(values: list[str]) -> bool:
    """Whether all are ids of so few digits that they fit; faster than one by one. False if in doubt."""
    digits = "".join(values)
    return digits.isdecimal() and digits.isascii() and max(map(len, values)) < len(str(INT64_MAX))


def _fault(what: str, text: str) -> str:
    return f"{what} is {text!r:.80}, but must be a whole number from 0 up"


def open_sequences(path: Path, attributes: Path | None = None) -> Sequences:
    """Opens sequences with the given attributes, or with the file beside them that S3-Rec's naming expects.

    Raises:
        InputError: `path` is not a file.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file: name the file of sequences.")
    beside = path.with_name(f"{path.stem}{ATTRIBUTES}")
    return Sequences(path, attributes or (beside if beside.is_file() else None))
