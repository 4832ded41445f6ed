"""Values of single features that may break a model: extreme numbers, broken texts, very long histories."""

from typing import Any

import numpy as np

from din_trainer.raw_inputs import Input

_INT64 = np.iinfo(np.int64)
_INTS = [-1, -2, 2**31, 2**53 + 1, _INT64.max, _INT64.min, _INT64.min + 1]
_FLOATS = [0.0, -0.0, 1.0, -1.5, 1e-45, 1e10, 3.4e38, -3.4e38, 1.7e308, float("inf"), float("-inf"), float("nan")]
_TEXTS = [b"", b"\0", b"\xff\xfe\x00", b"\xe9t\xe9", b"\xed\xa0\x80", "日本".encode(), b"-1", b"a\nb", b"a" * 10_000]
_KNOWN_TEXTS = [b"a", b"b", b"c", b"0", b"5", b"phone"]
_LONG = 100_000


def pick(rng: np.random.Generator, values: list[Any]) -> Any:
    """Returns one of the values."""
    return values[rng.integers(len(values))]


def random_value(rng: np.random.Generator, dtype: str) -> Any:
    """Returns a value of a feature. Half of the values are of a kind that training may have seen.

    Args:
        rng: The case's random numbers.
        dtype: `int64`, `bytes` or `float`.
    """
    usual = rng.random() < 0.5
    if dtype == "int64":
        return int(rng.integers(12)) if usual else int(rng.integers(_INT64.min, _INT64.max)) if rng.random() < 0.3 else pick(rng, _INTS)
    if dtype == "bytes":
        return pick(rng, _KNOWN_TEXTS) if usual else rng.bytes(int(rng.integers(20))) if rng.random() < 0.3 else pick(rng, _TEXTS)
    return float(rng.normal()) if usual else pick(rng, _FLOATS)


def random_width(rng: np.random.Generator) -> int:
    """Returns the length of a history: rarely a very long one."""
    return _LONG if rng.random() < 0.001 else pick(rng, [0, 1, 2, 4, 5, 30])


def width_of(read: Input, widths: dict[str, int]) -> int:
    """Returns the length of a list of events.

    Args:
        read: A list of events.
        widths: The length by sequence.
    """
    return widths[read.sequence]


def random_count(rng: np.random.Generator) -> int:
    """Returns a number of tags: rarely far more than a model reads."""
    return pick(rng, [0, 0, 1, 1, 2, 3, 12]) if rng.random() < 0.99 else 1000


def repeat_to(few: list[Any], count: int) -> list[Any]:
    """Repeats a few values up to `count`. Repeated texts are shortened, so that a long history stays of moderate size."""
    short = [value[:20] if isinstance(value, bytes) else value for value in few]
    return (few + short * (count // max(1, len(few))))[:count]
