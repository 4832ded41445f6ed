"""MovieLens, as GroupLens ships its recent releases (ratings.csv and movies.csv), in the one TFRecord layout."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from pipeline.datasets.layout import MANIFEST, SPLITS, DatasetWriter, list_column, scalar_column
from pipeline.errors import InputError

BATCH_SIZE = 50_000
UNKNOWN = "(unknown)"
_INT64_MAX = 2**63 - 1
_YEAR_2100 = 4_102_444_800  # unix seconds; what lies beyond is in milliseconds
_RULES = {
    "label": "rating >= 4 is 1, else 0; each rating is one impression",
    "history": "the user's positives strictly earlier than the impression (same second: not in it), oldest first, the most recent {length}",
    "category": f'the first genre that movies.csv lists ("(no genres listed)" is one too); {UNKNOWN} where it lists none',
    "duplicates": "of several ratings of one item by one user only the latest counts (same second: the later line)",
}
_SPLIT_RULES = {
    "last": "per user, by time then item: the last floor(20 %) are eval, the floor(10 %) before them validation, the rest train",
    "time": "cuts in time over all users: the last floor(20 %) are eval, the floor(10 %) before them validation, the rest train; "
    "impressions of the very second of a cut go to the earlier split",
}


class _Column(NamedTuple):
    """A wanted CSV column: its name here, its names in the wild (lower case, letters only), its type and the legal range of numbers."""

    name: str
    aliases: tuple[str, ...]
    type: pa.DataType
    parse: Callable[[str], int | float | bytes]
    low: int | float = 0
    high: int | float = _INT64_MAX
    expected: str = "a whole number from 0 up"

    def accepts(self, text: str) -> bool:
        try:
            value = self.parse(text)
        except ValueError:
            return False
        return isinstance(value, bytes) or self.low <= value <= self.high


_USER = _Column("userId", ("userid",), pa.int64(), int)
_ITEM = _Column("movieId", ("movieid", "itemid", "id"), pa.int64(), int)
_RATING = _Column("rating", ("rating",), pa.float64(), float, 0.5, 5.0, "a number from 0.5 to 5")
_TIME = _Column("timestamp", ("timestamp",), pa.int64(), int, 0, _YEAR_2100, "a time in whole unix seconds")
_GENRES = _Column("genres", ("genres",), pa.string(), str.encode, expected="text in UTF-8")


class _Impressions(NamedTuple):
    """N impressions by user, time and item, and their P positives; impression i has the history `positive[starts[i]:ends[i]]`."""

    user: np.ndarray  # (N,) int64
    item: np.ndarray  # (N,) int64
    timestamp: np.ndarray  # (N,) int64, unix seconds
    category: np.ndarray  # (N,) bytes
    label: np.ndarray  # (N,) int64
    positive: np.ndarray  # (P,) rows of the positives
    starts: np.ndarray  # (N,)
    ends: np.ndarray  # (N,)


def import_movielens(
    source: Path, out: Path, split: Literal["last", "time"] = "last", history_length: int = 50, command: str = ""
) -> dict[str, Any]:
    """Writes a MovieLens release as impressions: raw int64 ids, categories as bytes, times in unix seconds.

    A rating of 4 or more is a click. A history holds the user's clicks strictly earlier in time: one with the very timestamp of the
    impression is not in it. Of several ratings of one item by one user the latest counts; the manifest says how many were dropped.
    An item without a row in movies.csv (or whose row lists no genre) has the category "(unknown)"; the manifest counts these as well.

    Args:
        source: Folder with `ratings.csv` (userId, movieId, rating, timestamp) and `movies.csv` (movieId, title, genres); case and
            underscores in the header do not matter, and the movie's column may be called `Id` or `item_id`.
        out: Folder to make; it must not exist or be empty.
        split: "last": each user's last 20 % are eval, the 10 % before them validation (both rounded down: a user with fewer than 5
            impressions is in train only). "time": the same shares, cut at two moments for all users.
        history_length: Most recent clicks kept, at least 1.
        command: What the user typed, for the manifest.

    Returns:
        The manifest as written to `out/manifest.json`.

    Raises:
        InputError: A file, a column or a row is missing or wrong, an argument is out of range, or `out` cannot be used.
    """
    if split not in _SPLIT_RULES:
        raise InputError(f"split is {split!r}: choose one of {', '.join(_SPLIT_RULES)}.")
    if history_length < 1:
        raise InputError(f"history_length is {history_length}: give at least 1.")
    with DatasetWriter(out) as writer:
        user, item, rating, timestamp = _read(source / "ratings.csv", (_USER, _ITEM, _RATING, _TIME))
        movie, genres = _read(source / "movies.csv", (_ITEM, _GENRES))
        kept = _latest_ratings(user, item, timestamp)
        data = _impressions(
            user[kept], item[kept], timestamp[kept], rating[kept] >= 4, _categories(item[kept], movie, genres), history_length
        )
        splits = _split_last(data) if split == "last" else _split_time(data)
        in_time_order = np.argsort(data.timestamp, kind="stable")
        rows_of = {name: in_time_order[splits[in_time_order] == index] for index, name in enumerate(SPLITS)}
        writer.manifest = {
            "source": "movielens",
            "command": command,
            "split": split,
            "rules": {**_RULES, "history": _RULES["history"].format(length=history_length), "split": _SPLIT_RULES[split]},
            "users": len(np.unique(data.user)),
            "items": len(np.unique(data.item)),
            "items_without_category": len(np.unique(data.item[data.category == UNKNOWN.encode()])),
            "duplicate_ratings_dropped": len(user) - len(kept),
            "time_range": _time_range(data.timestamp),
            "split_time_ranges": {name: _time_range(data.timestamp[rows]) for name, rows in rows_of.items()},
            "base_rate": {name: float(data.label[rows].mean()) if len(rows) else None for name, rows in rows_of.items()},
        }
        for name, rows in rows_of.items():
            for begin in range(0, len(rows), BATCH_SIZE):
                writer.write(name, _to_batch(data, rows[begin : begin + BATCH_SIZE]))
    return json.loads((out / MANIFEST).read_text())


def _read(path: Path, columns: tuple[_Column, ...]) -> list[np.ndarray]:
    """The wanted columns of a CSV file, each (rows,)."""
    if not path.is_file():
        raise InputError(f"{path} is missing: name the folder of a MovieLens release that has ratings.csv and movies.csv.")
    _, header = next(_lines(path), (0, []))
    names = [_find(path, header, column) for column in columns]
    types = {name: column.type for name, column in zip(names, columns, strict=True)}
    try:
        table = pa.csv.read_csv(path, convert_options=pa.csv.ConvertOptions(include_columns=names, column_types=types, null_values=[]))
        arrays = [table[name].to_numpy() for name in names]
        if any(not ((a >= c.low) & (a <= c.high)).all() for a, c in zip(arrays, columns, strict=True) if c is not _GENRES):
            raise ValueError("a number is out of range")
    except (ValueError, OSError) as error:  # Arrow's errors are ValueErrors; none names the line
        raise InputError(_fault(path, names, columns) or f"{path} cannot be read ({error}): download it again.") from error
    if not table.num_rows:
        raise InputError(f"{path} holds no rows below its header: download it again.")
    return arrays


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and values of each line that is not blank. Slow: for the header, and for files known to be bad."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file)
            yield from ((reader.line_num, row) for row in reader if row)
    except (csv.Error, OSError) as error:
        raise InputError(f"{path} cannot be read ({error}): download it again.") from error


def _find(path: Path, header: list[str], column: _Column) -> str:
    """The name in `header` that means `column`."""
    plain = [name.replace("_", "").strip().lower() for name in header]
    for alias in column.aliases:
        if plain.count(alias) == 1:
            return header[plain.index(alias)]
    found = ", ".join(header) or "nothing, it is empty"
    raise InputError(f"{path} has no column {column.name}, or several (it has: {found}): add it or rename one.")


def _fault(path: Path, names: list[str], columns: tuple[_Column, ...]) -> str:
    """What is wrong in the first bad line, in words; "" where no line explains it."""
    lines = _lines(path)
    _, header = next(lines)
    for number, row in lines:
        if len(row) != len(header):
            return f"{path}, line {number} has {len(row)} value(s) where the header has {len(header)}: mend or remove the line."
        for name, column in zip(names, columns, strict=True):
            if not column.accepts(value := row[header.index(name)]):
                return f"{path}, line {number}: {name} is {value!r} where {column.expected} belongs: mend or remove the line."
    return ""


def _latest_ratings(user: np.ndarray, item: np.ndarray, timestamp: np.ndarray) -> np.ndarray:
    """Rows of the latest rating of each (user, item)."""
    order = np.lexsort((timestamp, item, user))
    return order[np.append(_changes(user[order], item[order])[1:], True)]


def _changes(*keys: np.ndarray) -> np.ndarray:
    """(N,) keys -> (N,) bool: whether a row differs from the row before it; the first one does."""
    return np.append(True, np.any([key[1:] != key[:-1] for key in keys], axis=0))


def _categories(item: np.ndarray, movie: np.ndarray, genres: np.ndarray) -> np.ndarray:
    """(N,) ids -> (N,) bytes, the first genre of each; where movies.csv repeats a movie, its first row counts."""
    movies, rows = np.unique(movie, return_index=True)
    first = np.array([(genres[row].split("|")[0].strip() or UNKNOWN).encode() for row in rows] + [UNKNOWN.encode()])
    found = np.searchsorted(movies, item).clip(max=len(movies) - 1)
    return first[np.where(movies[found] == item, found, len(movies))]


def _impressions(
    user: np.ndarray, item: np.ndarray, timestamp: np.ndarray, clicked: np.ndarray, category: np.ndarray, history_length: int
) -> _Impressions:
    """Sorts by user, time and item, and finds each row's history: the positives between the user's first row and the row's second."""
    order = np.lexsort((item, timestamp, user))
    user, timestamp, label = user[order], timestamp[order], clicked[order].astype(np.int64)
    positives_before = np.cumsum(label) - label
    ends = positives_before[_group_starts(_changes(user, timestamp))]
    starts = np.maximum(positives_before[_group_starts(_changes(user))], ends - history_length)
    return _Impressions(user, item[order], timestamp, category[order], label, np.flatnonzero(label), starts, ends)


def _group_starts(changes: np.ndarray) -> np.ndarray:
    """(N,) bool, true where a group of rows begins -> (N,) the first row of each row's group."""
    return np.maximum.accumulate(np.where(changes, np.arange(len(changes)), 0))


def _split_last(data: _Impressions) -> np.ndarray:
    """(N,) index into SPLITS by the row's place among its user's."""
    starts, size = np.unique(data.user, return_index=True, return_counts=True)[1:]
    left = np.repeat(starts + size, size) - np.arange(len(data.user))  # the user's rows from this one on
    size = np.repeat(size, size)
    return (left <= size // 5 + size // 10).astype(np.int8) + (left <= size // 5)


def _split_time(data: _Impressions) -> np.ndarray:
    """(N,) index into SPLITS by the row's time."""
    times, size = np.sort(data.timestamp), len(data.timestamp)
    train = size - size // 5 - size // 10
    return (data.timestamp > times[train - 1]).astype(np.int8) + (data.timestamp > times[size - size // 5 - 1])


def _time_range(timestamp: np.ndarray) -> dict[str, int] | None:
    return {"first": int(timestamp.min()), "last": int(timestamp.max())} if len(timestamp) else None


def _to_batch(data: _Impressions, rows: np.ndarray) -> pa.RecordBatch:
    """The impressions at `rows`, with their histories gathered from the positives."""
    starts, lengths = data.starts[rows], data.ends[rows] - data.starts[rows]
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    events = data.positive[np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)]
    return pa.RecordBatch.from_pydict(
        {
            "user_id": scalar_column(data.user[rows]),
            "candidate_item_id": scalar_column(data.item[rows]),
            "candidate_category_id": scalar_column(data.category[rows]),
            "historical_item_ids": list_column(data.item[events], offsets),
            "historical_category_ids": list_column(data.category[events], offsets),
            "historical_timestamps": list_column(data.timestamp[events], offsets),
            "timestamp": scalar_column(data.timestamp[rows]),
            "label": scalar_column(data.label[rows]),
        }
    )
