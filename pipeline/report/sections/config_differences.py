"""Configurations as dotted keys, and how two of them differ."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """A key whose values, as JSON, differ; None where a configuration lacks it."""

    key: str
    first: str | None
    second: str | None


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each dotted key with its value as JSON."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value, ensure_ascii=False)


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """The keys that differ, sorted."""
    one, other = dict(flatten(first)), dict(flatten(second))
    return [Difference(key, one.get(key), other.get(key)) for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)]
