"""Makes Arrow columns of values as Python's reader of JSON gives them, which may have several types."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipeline.datasets.tables.raw_rows import NOT_TEXT

_SINGLE, _LIST, _OBJECT = "a single value", "a list of single values", "an object"
_INT64_MAX = 2**63 - 1


def column_of(name: str, values: Sequence[Any]) -> tuple[pa.Array, dict[int, str]]:
    """Returns a column of single values, lists or objects, whichever is most frequent, and what is wrong with others, by their places.

    Values of several types become text, which keeps each digit. An empty text becomes null.
    """
    values = [None if value == "" else value for value in values]
    counts = Counter(_kind(value) for value in values if value is not None)
    kind = max((_SINGLE, _LIST, _OBJECT), key=lambda kind: counts[kind])
    faults = {
        place: f"{name} is {value!r:.80}, but must be {kind}" if _kind(value) != kind else f"{name} is {value!r:.80}, {NOT_TEXT}"
        for place, value in enumerate(values)
        if value is not None and (_kind(value) != kind or not _is_utf_8(value))
    }
    sound = [None if place in faults else value for place, value in enumerate(values)]
    if kind == _SINGLE:
        return pa.array(_of_one_type(sound)), faults
    if kind == _OBJECT:
        return _objects(sound), faults
    elements = _of_one_type([element for value in sound if value for element in value])
    offsets, end = [], 0
    for value in sound:
        offsets.append(None if value is None else end)
        end += len(value or ())
    return pa.ListArray.from_arrays(pa.array([*offsets, end], pa.int32()), pa.array(elements)), faults


def _kind(value: Any) -> str:
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(element, list | dict) for element in value)):
        return _OBJECT
    return _LIST if isinstance(value, list) else _SINGLE


def _objects(values: Sequence[Any]) -> pa.Array:
    """Returns objects, which no source wants; those that do not fit together have one key with their text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.array([None if value is None else {"text": repr(value)} for value in values])


def _is_utf_8(value: Any) -> bool:
    """Whether no text holds half a surrogate pair, which JSON can write but UTF-8 cannot."""
    try:
        for text in value if isinstance(value, list) else (value,):
            str(text).encode()
    except UnicodeEncodeError:
        return False
    return True


def _of_one_type(values: Sequence[Any]) -> Sequence[Any]:
    """Returns the values as they are if all have one type that Arrow has, else as text."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1 and (kinds != {int} or all(value is None or -_INT64_MAX <= value <= _INT64_MAX for value in values)):
        return values
    return [str(value).lower() if isinstance(value, bool) else None if value is None else str(value) for value in values]
