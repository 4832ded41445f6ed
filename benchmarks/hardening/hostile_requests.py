"""Hostile requests for the signatures of a model: each made from a seed alone, so that any of them can be made again."""

import struct
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from tensorflow.core.example.example_pb2 import Example
from tensorflow.core.example.feature_pb2 import Feature

from din_trainer.features import Column, FeatureConfig

Arrays = dict[str, np.ndarray]
Expect = Literal["scores", "either"]

_INT64 = np.iinfo(np.int64)
_INTS = [-1, -2, 2**31, 2**53 + 1, _INT64.max, _INT64.min, _INT64.min + 1]
_FLOATS = [0.0, -0.0, 1.0, -1.5, 1e-45, 1e10, 3.4e38, -3.4e38, 1.7e308, float("inf"), float("-inf"), float("nan")]
_TEXTS = [b"", b"\0", b"\xff\xfe\x00", b"\xe9t\xe9", b"\xed\xa0\x80", "日本".encode(), b"-1", b"a\nb", b"a" * 10_000]
_KNOWN_TEXTS = [b"a", b"b", b"c", b"0", b"5", b"phone"]
_NUMPY: dict[str, Any] = {"int64": np.int64, "float32": np.float32, "float64": np.float64, "string": object}
_LISTS = {"int64": "int64_list", "float": "float_list", "bytes": "bytes_list"}
_LONG = 100_000


class Case(NamedTuple):
    """A request.

    Attributes:
        signature: Whom it is for.
        inputs: By name.
        rows: Impressions, or users, that it holds, and N for `rank`; None where its inputs contradict each other.
        expect: `scores` if it is legal, however odd; `either` if it may be refused.
        what: How it came about.
    """

    signature: str
    inputs: Arrays
    rows: tuple[int, ...] | None
    expect: Expect
    what: list[str]


def make_case(seed: int, number: int, inputs: dict[str, dict[str, str]], features: FeatureConfig) -> Case:
    """The `number`-th case of a seed.

    Args:
        seed: Of all cases.
        number: From 0.
        inputs: The model's signatures: dtype by input, by signature.
        features: What the model reads.
    """
    rng = np.random.default_rng((seed, number))
    signature = str(rng.choice(sorted(inputs)))
    if "examples" in inputs[signature]:
        return _Examples(rng, features).case(signature)
    return _Tensors(rng, features, inputs[signature]).case(signature)


def _pick(rng: np.random.Generator, values: list[Any]) -> Any:
    return values[rng.integers(len(values))]


def _value(rng: np.random.Generator, dtype: str) -> Any:
    """A value of a feature: half of the time one that training may have seen."""
    usual = rng.random() < 0.5
    if dtype == "int64":
        return int(rng.integers(12)) if usual else int(rng.integers(_INT64.min, _INT64.max)) if rng.random() < 0.3 else _pick(rng, _INTS)
    if dtype == "bytes":
        return _pick(rng, _KNOWN_TEXTS) if usual else rng.bytes(int(rng.integers(20))) if rng.random() < 0.3 else _pick(rng, _TEXTS)
    return float(rng.normal()) if usual else _pick(rng, _FLOATS)


def _width(rng: np.random.Generator) -> int:
    return _LONG if rng.random() < 0.001 else _pick(rng, [0, 1, 2, 4, 5, 30])


def _repeated(few: list[Any], count: int) -> list[Any]:
    """`count` values, of which long texts occur once, so that a long history stays in bounds."""
    short = [value[:20] if isinstance(value, bytes) else value for value in few]
    return (few + short * (count // max(1, len(few))))[:count]


def _scalar_bound(value: float) -> float:
    """What a proto's float holds: Python refuses larger ones."""
    return float(np.float32(np.clip(value, -3.4e38, 3.4e38))) if np.isfinite(value) else value


class _Examples:
    """Requests of serialised tf.Examples."""

    def __init__(self, rng: np.random.Generator, features: FeatureConfig) -> None:
        self._rng, self._features = rng, features
        self._expect: Expect = "scores"
        self._what: list[str] = []

    def case(self, signature: str) -> Case:
        rng = self._rng
        count = int(_pick(rng, [0, 1, 1, 1, 2, 7]))
        examples = np.empty(count, object)
        examples[:] = [self._example() for _ in range(count)]
        rows: tuple[int, ...] | None = (count,)
        if rng.random() < 0.03:
            examples, rows, self._expect = _pick(rng, _DEFORMED)(examples), None, "either"
            self._what.append(f"examples of {examples.dtype}, shape {examples.shape}")
        return Case(signature, {"examples": examples}, rows, self._expect, self._what)

    def _example(self) -> bytes:
        rng = self._rng
        example = Example()
        widths = {sequence: _width(rng) for sequence in self._features.sequences}
        for column in self._features.columns:
            values = self._events(column, widths) if column.presence == "sequence" else [_value(rng, column.dtype)]
            if column.presence == "optional" and rng.random() < 0.3:
                if rng.random() < 0.5:
                    continue
                values = []  # as some writers say that there is none
            self._fill(example.features.feature[column.name], column.dtype, values)
        for _ in range(rng.integers(3) if rng.random() < 0.5 else 0):
            self._spoil(example, _pick(rng, self._features.columns))
        return self._bytes(example)

    def _events(self, column: Column, widths: dict[str, int]) -> list[Any]:
        """As many as the other behaviours of the sequence have."""
        sequence = next((s for s, own in self._features.sequences.items() if column.name in (b.history for b in own.values())), None)
        width = widths[sequence or next(iter(widths))]
        few = [_value(self._rng, column.dtype) for _ in range(min(width, 30))]
        return _repeated(few, width)

    @staticmethod
    def _fill(feature: Feature, dtype: str, values: list[Any]) -> None:
        values = [_scalar_bound(value) for value in values] if dtype == "float" else values
        getattr(feature, _LISTS[dtype]).value[:] = values
        getattr(feature, _LISTS[dtype]).SetInParent()

    def _spoil(self, example: Example, column: Column) -> None:
        rng = self._rng
        kind = _pick(rng, ["missing", "no kind", "empty", "type", "several", "unaligned", "stranger"])
        feature = example.features.feature[column.name]
        if kind == "missing":
            del example.features.feature[column.name]
        elif kind == "no kind":
            feature.Clear()
        elif kind == "empty":
            self._fill(feature, column.dtype, [])
        elif kind == "type":
            other = _pick(rng, [dtype for dtype in _LISTS if dtype != column.dtype])
            self._fill(feature, other, [_value(rng, other) for _ in range(rng.integers(3))])
        elif kind in ("several", "unaligned"):
            self._fill(feature, column.dtype, [_value(rng, column.dtype) for _ in range(rng.integers(1, 9))])
        else:
            self._fill(example.features.feature[f"stranger_{rng.integers(3)}"], "bytes", [rng.bytes(5)])
        if kind != "stranger":
            self._expect = "either"
        self._what.append(f"{column.name}: {kind}")

    def _bytes(self, example: Example) -> bytes:
        rng = self._rng
        content: bytes = example.SerializeToString()
        if rng.random() < 0.7:
            return content
        kind = _pick(rng, ["truncated", "flipped", "inserted", "random", "nothing", "twice", "nested", "length", "varint", "repeated"])
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
        if kind == "twice":  # each feature occurs twice in the map, with values of its own
            return content + self._another()
        if kind == "repeated":
            return content * 50
        return {
            "nothing": b"",
            "nested": b"\x0b" * 5_000,  # groups that nobody closes
            "length": b"\x0a\xff\xff\xff\xff\x0f" + content,  # a message of 4 GiB, it says
            "varint": b"\x0a" + b"\xff" * 11 + struct.pack("<q", at),  # longer than any number
        }[kind]

    def _another(self) -> bytes:
        other = Example()
        column = _pick(self._rng, self._features.columns)
        dtype = _pick(self._rng, list(_LISTS))
        self._fill(other.features.feature[column.name], dtype, [_value(self._rng, dtype)])
        content: bytes = other.SerializeToString()
        return content


class _Tensors:
    """Requests of raw tensors."""

    def __init__(self, rng: np.random.Generator, features: FeatureConfig, dtypes: dict[str, str]) -> None:
        self._rng, self._features, self._dtypes = rng, features, dtypes

    def case(self, signature: str) -> Case:
        rng = self._rng
        count = int(_pick(rng, [0, 1, 1, 1, 2, 7]))
        candidates = (int(_pick(rng, [0, 1, 2, 5, 200])),) if signature == "rank" else ()
        widths = {sequence: _width(rng) for sequence in self._features.sequences}
        inputs = {}
        for column in self._features.columns:
            shape: tuple[int, ...] = (count,)
            if column.presence == "sequence":
                own = (s for s, b in self._features.sequences.items() if column.name in (x.history for x in b.values()))
                shape = (count, widths[next(own, next(iter(widths)))])
            elif column.role == "candidate":
                shape = (count, *candidates)
            inputs[column.name] = self._array(column, shape)
        case = Case(signature, inputs, (count, *candidates), "scores", [f"{count} rows, histories {widths}"])
        for _ in range(rng.integers(1, 3) if rng.random() < 0.4 else 0):
            case = self._spoil(case)
        return case

    def _array(self, column: Column, shape: tuple[int, ...]) -> np.ndarray:
        rng, dtype = self._rng, _NUMPY[self._dtypes[column.name]]
        size = int(np.prod(shape))
        kind = "float" if dtype in (np.float32, np.float64) else column.dtype
        values = np.empty(size, dtype)
        with np.errstate(over="ignore"):
            values[:] = _repeated([_value(rng, kind) for _ in range(min(size, 50))], size)
        return values.reshape(shape)

    def _spoil(self, case: Case) -> Case:
        rng = self._rng
        name = str(rng.choice(sorted(case.inputs)))
        kind = _pick(rng, ["type", "rank", "rows", "width", "scalar", "missing", "stranger"])
        inputs, array = dict(case.inputs), case.inputs[name]
        if kind == "type":
            others = [dtype for dtype in (np.int64, np.float32, np.float64, np.int32, np.bool_, object) if dtype != array.dtype]
            dtype = _pick(rng, others)
            inputs[name] = np.full(array.shape, b"1", object) if dtype is object else np.ones(array.shape, dtype)
        elif kind == "rank":
            inputs[name] = array[..., None] if rng.random() < 0.5 else array.reshape(-1)
        elif kind == "scalar":
            inputs[name] = np.resize(array, ()) if array.size else np.empty((2, 2, 2), array.dtype)
        elif kind == "rows" and array.ndim:
            inputs[name] = np.resize(array, (len(array) + int(_pick(rng, [-1, 1, 2])) if len(array) else 1, *array.shape[1:]))
        elif kind == "width" and array.ndim == 2:
            inputs[name] = np.resize(array, (len(array), int(_pick(rng, [0, 1, 3, 6]))))
        elif kind == "missing":
            del inputs[name]
        else:
            kind = "stranger"
            inputs[f"{name}_2"] = array
        return Case(case.signature, inputs, None, "either", [*case.what, f"{name}: {kind}"])


_DEFORMED: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda examples: examples[:, None],
    lambda examples: np.resize(examples, ()) if len(examples) else np.empty((0, 3), object),
    lambda examples: np.arange(len(examples)),
    lambda examples: np.ones(len(examples), np.float32),
]
