"""Hostile requests for the signatures that parse serialised tf.Examples."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from tensorflow.core.example.example_pb2 import Example
from tensorflow.core.example.feature_pb2 import Feature

from benchmarks.hardening.hostile_values import pick, random_count, random_value, random_width, repeat_to, width_of
from benchmarks.hardening.request_case import Case, Expect
from din_trainer.features import Column, FeatureConfig
from din_trainer.raw_inputs import Input, inputs_of

_LISTS = {"int64": "int64_list", "float": "float_list", "bytes": "bytes_list"}
_DEFORMED: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda examples: examples[:, None],
    lambda examples: np.resize(examples, ()) if len(examples) else np.empty((0, 3), object),
    lambda examples: np.arange(len(examples)),
    lambda examples: np.ones(len(examples), np.float32),
]


def _scalar_bound(value: float) -> float:
    """Returns the value as a proto's float can hold it. Larger values raise in Python."""
    return float(np.float32(np.clip(value, -3.4e38, 3.4e38))) if np.isfinite(value) else value


class HostileExamples:
    """Makes one request of serialised tf.Examples.

    Args:
        rng: The case's random numbers.
        features: What the model reads.
    """

    def __init__(self, rng: np.random.Generator, features: FeatureConfig) -> None:
        self._rng, self._features = rng, features
        self._inputs = inputs_of(features)
        self._expect: Expect = "scores"
        self._what: list[str] = []

    def case(self, signature: str) -> Case:
        """Returns the request, for one signature."""
        rng = self._rng
        count = int(pick(rng, [0, 1, 1, 1, 2, 7]))
        examples = np.empty(count, object)
        examples[:] = [self._example() for _ in range(count)]
        rows: tuple[int, ...] | None = (count,)
        if rng.random() < 0.03:
            examples, rows, self._expect = pick(rng, _DEFORMED)(examples), None, "either"
            self._what.append(f"examples of {examples.dtype}, shape {examples.shape}")
        return Case(signature, {"examples": examples}, rows, self._expect, self._what)

    def _example(self) -> bytes:
        rng = self._rng
        example = Example()
        widths = {sequence: random_width(rng) for sequence in self._features.sequences}
        tags: dict[str, list[int]] = {}
        for read in self._inputs:
            column = read.column
            slots = width_of(read, widths) if read.sequence else 1
            if column.width is None:
                self._fill_tags(example, read, tags, slots)
                continue
            values = self._some(column, slots * column.width)
            if column.presence == "optional" and rng.random() < 0.3:
                if rng.random() < 0.5:
                    continue
                values = []  # some writers write a missing value as an empty list
            self._fill(example.features.feature[column.name], column.dtype, values)
        for _ in range(rng.integers(3) if rng.random() < 0.5 else 0):
            self._spoil(example, pick(rng, self._features.columns))
        return self._bytes(example)

    def _some(self, column: Column, count: int) -> list[Any]:
        few = [random_value(self._rng, column.dtype) for _ in range(min(count, 30))]
        return repeat_to(few, count)

    def _fill_tags(self, example: Example, read: Input, counts: dict[str, list[int]], slots: int) -> None:
        """Fills tags, or weights of tags that are filled, and the number of the tags of each event."""
        of = read.beside or read.column.name
        if of not in counts:
            counts[of] = repeat_to([random_count(self._rng) for _ in range(min(slots, 30))], slots)
        if read.lengths and not read.beside:
            self._fill(example.features.feature[read.lengths], "int64", counts[of])
        self._fill(example.features.feature[read.column.name], read.column.dtype, self._some(read.column, sum(counts[of])))

    @staticmethod
    def _fill(feature: Feature, dtype: str, values: list[Any]) -> None:
        values = [_scalar_bound(value) for value in values] if dtype == "float" else values
        getattr(feature, _LISTS[dtype]).value[:] = values
        getattr(feature, _LISTS[dtype]).SetInParent()

    def _spoil(self, example: Example, column: Column) -> None:
        """Does one thing to the example that the model may refuse, or adds a feature that it must ignore."""
        rng = self._rng
        kind = pick(rng, ["missing", "no kind", "empty", "type", "several", "unaligned", "stranger"])
        feature = example.features.feature[column.name]
        if kind == "missing":
            del example.features.feature[column.name]
        elif kind == "no kind":
            feature.Clear()
        elif kind == "empty":
            self._fill(feature, column.dtype, [])
        elif kind == "type":
            other = pick(rng, [dtype for dtype in _LISTS if dtype != column.dtype])
            self._fill(feature, other, [random_value(rng, other) for _ in range(rng.integers(3))])
        elif kind in ("several", "unaligned"):
            self._fill(feature, column.dtype, [random_value(rng, column.dtype) for _ in range(rng.integers(1, 9))])
        else:
            self._fill(example.features.feature[f"stranger_{rng.integers(3)}"], "bytes", [rng.bytes(5)])
        if kind != "stranger":
            self._expect = "either"
        self._what.append(f"{column.name}: {kind}")

    def _bytes(self, example: Example) -> bytes:
        """Serialises the example. Some results are damaged."""
        rng = self._rng
        content: bytes = example.SerializeToString()
        if rng.random() < 0.7:
            return content
        kind = pick(rng, ["truncated", "flipped", "inserted", "random", "nothing", "twice", "nested", "length", "varint", "repeated"])
        self._expect = "either"
        self._what.append(f"bytes: {kind}")
        at = int(rng.integers(len(content) + 1))
        if kind == "truncated":
            return content[:at]
        if kind == "flipped":
            spoilt = bytearray(content)
            for place in rng.integers(len(spoilt), size=rng.integers(1, 9)) if spoilt else ():
                spoilt[place] ^= 1 << int(rng.integers(8))
            return bytes(spoilt)
        if kind == "inserted":
            return content[:at] + rng.bytes(int(rng.integers(1, 20))) + content[at:]
        if kind == "random":
            return rng.bytes(int(rng.integers(1, 200)))
        if kind == "twice":  # one feature occurs twice in the map, with other values
            return content + self._another()
        if kind == "repeated":
            return content * 50
        return {
            "nothing": b"",
            "nested": b"\x0b" * 5_000,  # groups that are never closed
            "length": b"\x0a\xff\xff\xff\xff\x0f" + content,  # the length of a message of 4 GiB
            "varint": b"\x0a" + b"\xff" * 11 + struct.pack("<q", at),  # longer than any number may be
        }[kind]

    def _another(self) -> bytes:
        """Returns a second example, with one feature."""
        other = Example()
        column = pick(self._rng, self._features.columns)
        dtype = pick(self._rng, list(_LISTS))
        self._fill(other.features.feature[column.name], dtype, [random_value(self._rng, dtype)])
        content: bytes = other.SerializeToString()
        return content
