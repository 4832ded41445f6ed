"""Reads Amazon reviews of McAuley's 2014 crawl: JSON lines of reviews, and metadata as strict JSON or Python literals."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import BATCH_SIZE, CATEGORY, ITEM, LABEL, TIMESTAMP, USER, Tally, breaks_line
from pipeline.datasets.sources.text_lines import read_lines, require_rows
from pipeline.datasets.sources.typed_columns import time_column

UNKNOWN = b"(unknown)"
_SUFFIXES = (".json", ".json.gz")
_TIME = time_column("unixReviewTime")


@dataclass(frozen=True)
class Amazon:
    """Reviews as clicks: each review is one, whatever its stars, as in the code of the DIN paper's authors.

    Args:
        source: Folder with one `reviews_*` and at most one `meta_*`; or `reviews_NAME_5.json`, which may have `meta_NAME.json` beside it.
            Each may be gzipped. A line of reviews is an object with reviewerID, asin and unixReviewTime.
        metadata: A line is an object with asin and categories, a list of paths. None: the file beside the reviews. Without metadata,
            items have no category.

    Raises:
        InputError: A file is missing, or there are several.
    """

    source: Path
    metadata: Path | None = None
    name: str = "amazon"
    has_negatives: bool = False
    history: Literal["earlier", "before"] = "before"
    repeats: Literal["latest", "all"] = "all"
    reviews: Path = field(init=False)

    def __post_init__(self) -> None:
        reviews, beside = _find(self.source)
        object.__setattr__(self, "reviews", reviews)
        object.__setattr__(self, "metadata", self.metadata or beside)

    @property
    def rules(self) -> dict[str, str]:
        rules = {
            "label": "each review is a click, whatever its stars",
            "time": "unixReviewTime, whole days; within a day the file's order",
        }
        if self.metadata:
            rules["category"] = (
                f"the last of the item's last category path; {UNKNOWN.decode()} where {self.metadata.name} has none; "
                "where it has an item several times, the first line counts"
            )
        return rules

    @property
    def schema(self) -> pa.Schema:
        fields = [(USER, pa.binary()), (ITEM, pa.binary()), (LABEL, pa.int64()), (TIMESTAMP, pa.int64())]
        return pa.schema([*fields, (CATEGORY, pa.binary())] if self.metadata else fields)

    def files(self) -> list[Path]:
        return [self.reviews]

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Yields the reviews in the file's order. The category of each item is held in memory.

        With `tally.skip_broken`, an item on a broken line counts as an item without a line. `tally.broken` names those lines, but
        `tally.dropped` does not count them, since they are not interactions.
        """
        categories = _read_categories(self.metadata, tally) if self.metadata else {}
        rows = _reviews(file, tally)
        while batch := list(islice(rows, BATCH_SIZE)):
            users, items, times = zip(*batch, strict=True)
            columns = [pa.array(users, pa.binary()), pa.array(items, pa.binary()), pa.array([1] * len(batch), pa.int64())]
            columns.append(pa.array(times, pa.int64()))
            if self.metadata:
                columns.append(pa.array([categories.get(item, UNKNOWN) for item in items], pa.binary()))
            yield pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _find(source: Path) -> tuple[Path, Path | None]:
    """Returns the files of reviews and of metadata."""
    if source.is_dir():
        reviews, metadata = (
            sorted(path for path in source.glob(f"{kind}_*") if path.name.endswith(_SUFFIXES)) for kind in ("reviews", "meta")
        )
        file = _at_most_one(source, "reviews_*.json", reviews)
        if file is None:
            raise InputError(f"{source} has no file reviews_*.json or .json.gz: name the folder or the file that holds the reviews.")
        return file, _at_most_one(source, "meta_*.json", metadata)
    if not source.is_file():
        raise InputError(f"{source} is missing: name a folder with reviews_*.json and meta_*.json, or the file of reviews.")
    subject = re.sub(r"^reviews_|(_\d+)?\.json(\.gz)?$", "", source.name)
    beside = [path for suffix in _SUFFIXES if (path := source.with_name(f"meta_{subject}{suffix}")).is_file()]
    return source, _at_most_one(source.parent, f"meta_{subject}.json", beside)


def _at_most_one(folder: Path, pattern: str, found: list[Path]) -> Path | None:
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(f"{folder} has several files {pattern} ({names}): keep one, or name it.")
    return found[0] if found else None


def _reviews(file: Path, tally: Tally) -> Iterator[tuple[bytes, bytes, int]]:
    """Yields user, item and unix seconds of each correct line."""
    for number, line in require_rows(file, read_lines(file)):
        try:
            record = json.loads(line)
            yield _id(record, "reviewerID"), _id(record, "asin"), _time(record)
        except json.JSONDecodeError:
            tally.count_broken(file, number, "it is not a JSON object")
        except (ValueError, RecursionError) as error:
            tally.count_broken(file, number, str(error))


def _id(record: Any, key: str) -> bytes:
    """Returns a text of a record.

    Raises:
        ValueError: The text is missing or empty.
    """
    value = _value(record, key)
    try:
        encoded = value.encode() if isinstance(value, str) else b""
    except UnicodeEncodeError:
        encoded = b""
    if not encoded or breaks_line(encoded):
        raise ValueError(f"{key} is {value!r}, but must be text in UTF-8, without line ends and NUL")
    return encoded


def _time(record: Any) -> int:
    value = _value(record, _TIME.name)
    if type(value) is not int or not _TIME.low <= value <= _TIME.high:
        raise ValueError(f"{_TIME.name} is {value!r}, but must be {_TIME.expected}")
    return value


def _value(record: Any, key: str) -> Any:
    if not isinstance(record, dict):
        raise ValueError("it is not a JSON object")
    if key not in record:
        raise ValueError(f"it has no {key}")
    return record[key]


def _read_categories(metadata: Path, tally: Tally) -> dict[bytes, bytes]:
    """Returns the category of each item that has one."""
    own_tally = Tally(tally.skip_broken)
    categories: dict[bytes, bytes] = {}
    names: dict[bytes, bytes] = {}  # so that equal categories share one object
    for number, line in require_rows(metadata, read_lines(metadata)):
        try:
            record = _parse_loosely(line)
            item, category = _id(record, "asin"), _category(record.get("categories"))
        except (ValueError, RecursionError) as error:
            own_tally.count_broken(metadata, number, str(error))
            continue
        categories.setdefault(item, names.setdefault(category, category))
    tally.note_side_file(metadata, own_tally)
    return categories


def _parse_loosely(line: str) -> Any:
    """Parses a line of strict JSON or of a Python literal."""
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        pass
    try:
        return ast.literal_eval(line)
    except (ValueError, SyntaxError, TypeError, MemoryError) as error:
        raise ValueError("it is neither a JSON object nor a Python literal") from error


def _category(paths: Any) -> bytes:
    """Returns the last category of the last path, as the authors' code does.

    Raises:
        ValueError: `paths` is not a list of lists of texts.
    """
    if not paths or (isinstance(paths, list) and not paths[-1]):
        return UNKNOWN
    if not (isinstance(paths, list) and isinstance(paths[-1], list) and isinstance(paths[-1][-1], str)):
        raise ValueError(f"categories is {paths!r:.80}, but must be lists of texts")
    return _id({"categories": paths[-1][-1]}, "categories") if paths[-1][-1] else UNKNOWN
