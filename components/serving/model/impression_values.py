"""Reads the values of an impression, and refuses what no impression of a data set could hold: one rule for data and for requests.

An impression is a dict of raw features as in `sample.jsonl`: scalars, and lists for histories, tags and vectors; a history of tags or of
vectors is a list of lists. One tag, or its weight, may stand without a list. A value is missing if it is None, an empty list, −1 (ids), ""
(text) or NaN (numbers), or if it has no key. Only optional features and the fields of events may be missing. A history of ids holds real
events only.
"""

import json
import math
import re
from collections.abc import Iterable, Set
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

import numpy as np

from din_trainer.features import HISTORICAL_TIMESTAMPS, LABEL, REQUEST_ID, TIMESTAMP
from din_trainer.kinds import MISSING
from din_trainer.raw_inputs import Input

Impression = dict[str, Any]

DATA_KEYS = frozenset({LABEL, TIMESTAMP, REQUEST_ID, HISTORICAL_TIMESTAMPS})  # in every data set, whether or not a model reads them

_KINDS: dict[str, tuple[type, ...]] = {"int64": (int,), "bytes": (bytes, str), "float": (int, float)}
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1  # of int64
_FLOAT32 = float(np.finfo(np.float32).max)
_LIKENESS = 0.85  # of two names, from 0 to 1: `historical_items` and `historical_item_ids` have 0.94
_DIGITS = re.compile("[0-9]+")
_SHOWN = 80  # characters of a value in a message


def values_of(row: Impression, read: Input) -> list[Any]:
    """Returns the values of a feature, with text as UTF-8; none if it is missing.

    Returns:
        One value or none; of a history, a value for each event (−1, "" or NaN where it is missing). Of tags or a vector, its values, or a
        list of them for each event.

    Raises:
        ValueError: The feature has a value that it cannot have, or lacks one that it needs.
    """
    column = read.column
    found = row.get(column.name)
    if column.presence == "sequence":
        events = _events(found, read)
        if column.width == 1:
            return _fields(events, read) if events else events
        beside = _events(row.get(read.beside), read) if read.beside else []
        _check_beside(events, beside, read, "lists")
        return [_several(event, read, beside[place] if beside else None) for place, event in enumerate(events)]
    if column.width is None:
        return _several(_in_list(found), read, _in_list(row.get(read.beside)))
    if column.width != 1:
        return _several(found, read)
    values = found if isinstance(found, list) else [] if found is None else [found]
    if values:
        values = _typed(values, read)
    if len(values) == 1:
        return values
    if values or column.presence == "required":
        raise ValueError(f"feature {column.name!r} needs one value an impression")
    return values


def _in_list(found: Any) -> Any:
    """A data set whose impressions have one tag at most has them without a list in its sample."""
    return found if isinstance(found, list | None) else [found]


def _events(found: Any, read: Input) -> list[Any]:
    if not isinstance(found, list | None):
        raise ValueError(f"feature {read.column.name!r} is {_shown(found)}, but a list is needed")
    return found or []


def _fields(events: list[Any], read: Input) -> list[Any]:
    """Returns a value for each event."""
    if read.use == "event" or read.lowest == 0:
        return _typed(events, read)
    places = [place for place, value in enumerate(events) if not (value is None or (read.column.is_number and _is_missing_number(value)))]
    if read.column.is_number and read.column.dtype == "int64" and len(places) < len(events):
        raise ValueError(f"feature {read.column.name!r} is {_shown(events)}, but int64 has no missing numbers: declare it as float")
    values = [read.missing] * len(events)
    for place, value in zip(places, _typed([events[place] for place in places], read, keep=True), strict=True):
        values[place] = value
    return values


def _several(found: Any, read: Input, beside: Any = None) -> list[Any]:
    """Returns the tags, the weights or the vector of one impression, candidate or event.

    Args:
        found: As the impression has it.
        read: The feature.
        beside: For weights, the tags that they belong to.
    """
    if not isinstance(found, list | None):
        where = " for each event" if read.column.presence == "sequence" else ""
        raise ValueError(f"feature {read.column.name!r} has {_shown(found)}, but a list is needed{where}")
    values = found or []
    if read.column.width is not None:
        return _vector(values, read)
    if read.use == "weight":
        tags = beside if isinstance(beside, list) else []
        _check_beside(values, tags, read, "values")
        if any(map(_is_missing_number, values)):
            raise ValueError(f"feature {read.column.name!r} is {_shown(values)}, but each value of {read.beside!r} needs a weight")
        values = [weight for weight, tag in zip(values, tags, strict=True) if tag not in (None, -1, "", b"")]
    else:
        values = [tag for tag in values if tag is not None]
    return _typed(values, read) if values else values


def _vector(values: list[Any], read: Input) -> list[Any]:
    missing = sum(map(_is_missing_number, values))
    if missing == len(values):
        return []
    size = read.column.width
    if len(values) != size:
        numbers = f"{len(values)} number{'' if len(values) == 1 else 's'}"
        raise ValueError(f"feature {read.column.name!r} has {numbers}, but a vector of {size} is needed")
    if missing:
        raise ValueError(f"feature {read.column.name!r} lacks {missing} of its {size} numbers: write all of them, or none")
    return _typed(values, read)


def _check_beside(values: list[Any], tags: list[Any], read: Input, what: str) -> None:
    if read.beside and len(values) != len(tags):
        raise ValueError(f"feature {read.column.name!r} has {len(values)} {what}, but {read.beside!r} has {len(tags)}: each needs a weight")


def _is_missing_number(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _typed(values: list[Any], read: Input, keep: bool = False) -> list[Any]:
    """Returns values of the right type, without missing ones unless they are kept."""
    column = read.column
    if column.is_number:
        values = [value for value in values if not (isinstance(value, float) and math.isnan(value))]
    if not all(issubclass(kind, _KINDS[column.dtype]) and kind is not bool for kind in set(map(type, values))):
        raise ValueError(f"feature {column.name!r} is {_written(values, read)}, but {column.dtype} is needed")
    if column.dtype == "bytes":
        return _text(values, read, keep)
    if column.dtype == "float":
        for value in values:
            if not abs(value) <= _FLOAT32:
                raise ValueError(f"feature {column.name!r} is {_shown(value)}, but a number that float32 can hold is needed")
        return values
    lowest = min(values, default=0)
    if lowest < _LOWEST or max(values, default=0) > _HIGHEST:
        raise ValueError(f"feature {column.name!r} has a value beyond 64 bits")
    if lowest >= 0 or column.is_number:
        return values
    if read.use == "time" and lowest < read.lowest:
        raise ValueError(f"feature {column.name!r} holds the time {lowest}: times are unix seconds, 0 or more")
    if lowest < MISSING["int64"]:
        raise ValueError(f"feature {column.name!r} holds a negative id ({lowest}): ids must be 0 or more")
    return values if keep else _without_missing(values, read)


def _text(values: list[Any], read: Input, keep: bool) -> list[bytes]:
    name = read.column.name
    try:
        values = [value.encode(errors="surrogateescape") if isinstance(value, str) else value for value in values]
    except UnicodeEncodeError as error:
        raise ValueError(f"feature {name!r} is {_written(values, read)}, which is no text in UTF-8") from error
    if read.use != "hash":
        joined = b"".join(values)
        if b"\n" in joined or b"\r" in joined or b"\0" in joined:
            raise ValueError(f"feature {name!r} is {_written(values, read)}: no id has a line end or NUL in it")
    return _without_missing(values, read) if b"" in values and not keep else values


def _without_missing(values: list[Any], read: Input) -> list[Any]:
    missing = MISSING[read.column.dtype]
    if read.use == "event":
        shown = _shown(missing)
        raise ValueError(f"feature {read.column.name!r} holds {shown}, which means no event: leave it out, here and in the aligned lists")
    return [value for value in values if value != missing]


def _written(values: list[Any], read: Input) -> str:
    scalar = read.column.presence != "sequence" and read.column.width == 1 and len(values) == 1
    return _shown(values[0] if scalar else values)


def _shown(value: Any) -> str:
    text = json.dumps(value, default=lambda other: other.decode(errors="replace") if isinstance(other, bytes) else repr(other))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def check_keys(row: Impression, names: Set[str]) -> None:
    """Checks that no key of an impression is a misspelt name of a feature that the impression lacks.

    Args:
        row: The impression. Other keys that the model does not read are legal.
        names: The features that the model reads.

    Raises:
        ValueError: A key looks like such a name.
    """
    for key in unread_keys(row, names):
        for name in sorted(names - row.keys()):
            if _likeness(key, name) >= _LIKENESS:
                raise ValueError(f"the model does not read {key!r}, but {name!r}, which is not there: rename it, or add {name!r}")


def unread_keys(keys: Iterable[str], names: Set[str]) -> list[str]:
    """Returns the keys that neither a model nor a data set knows, sorted."""
    return sorted(set(keys) - names - DATA_KEYS)


@lru_cache(maxsize=4096)
def _likeness(key: str, name: str) -> float:
    key, name = (text.lower().replace("_", "") for text in (key, name))
    if key != name and _DIGITS.sub("", key) == _DIGITS.sub("", name):
        return 0.0  # category_1 and category_2 are two features
    return SequenceMatcher(None, key, name).ratio()


def check_alignment(row: Impression, sequences: Iterable[Iterable[str]]) -> None:
    """Checks that the histories of each sequence have the same length.

    Args:
        row: An impression.
        sequences: The names of the histories of each sequence.

    Raises:
        ValueError: Two histories differ in length.
    """
    for first, *others in sequences:
        for name in others:
            lengths = [len(row.get(history) or []) for history in (first, name)]
            if lengths[0] != lengths[1]:
                raise ValueError(
                    f"{first!r} has {lengths[0]} events, but {name!r} has {lengths[1]}: the histories of a sequence must be aligned"
                )
