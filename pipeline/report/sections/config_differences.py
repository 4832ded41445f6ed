"""Flattens configurations to dotted keys, and finds the differences of two."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """A key with different values in two configurations, as JSON; None if a configuration does not have the key."""

    key: str
    first: str | None
    second: str | None


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields each dotted key with its value as JSON."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value, ensure_ascii=False)


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Returns the keys whose values differ, sorted."""
    one, other = dict(flatten(first)), dict(flatten(second))
    return [Difference(key, one.get(key), other.get(key)) for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)]
