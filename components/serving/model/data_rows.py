"""Reads the flat lists that a tf.Example has of a feature as an impression has them: one value, a list, or a list for each event."""

import math
from collections.abc import Mapping
from typing import Any

from din_trainer.raw_inputs import Input


def in_impression(found: Mapping[str, list[Any] | None], read: Input) -> Any:
    """Returns a feature of an impression. It is what `components.serving.model.impression_tensors.in_example` was made from.

    Args:
        found: The values of a tf.Example, by feature.
        read: The feature.

    Returns:
        None for a missing value or vector, also of an event.

    Raises:
        ValueError: The lengths of tags do not sum to their number, or the vectors of a history do not fill their list.
    """
    column, values = read.column, found.get(read.column.name) or []
    if column.presence == "sequence" and column.width is None:
        return _by_event(values, found.get(read.lengths) or [], read)
    if column.presence == "sequence" and column.width != 1:
        return [_vector(vector) for vector in _chunks(values, read)]
    if column.presence == "sequence":
        return [_number(value) for value in values]
    if column.width == 1:
        return _number(values[0]) if values else None
    return values if column.width is None else _vector(values)


def _by_event(values: list[Any], lengths: list[int], read: Input) -> list[list[Any]]:
    if sum(lengths) != len(values) or min(lengths, default=0) < 0:
        raise ValueError(f"feature {read.column.name!r} has {len(values)} values, but {read.lengths!r} says {sum(lengths)}")
    events, start = [], 0
    for length in lengths:
        events.append(values[start : start + length])
        start += length
    return events


def _chunks(values: list[Any], read: Input) -> list[list[Any]]:
    size = read.column.width or 1
    if len(values) % size:
        raise ValueError(f"feature {read.column.name!r} has {len(values)} numbers, which are no vectors of {size}")
    return [values[start : start + size] for start in range(0, len(values), size)]


def _vector(numbers: list[Any]) -> list[Any] | None:
    return None if all(_number(number) is None for number in numbers) else numbers


def _number(value: Any) -> Any:
    """Returns a value; None for NaN, which JSON does not have."""
    return None if isinstance(value, float) and math.isnan(value) else value
