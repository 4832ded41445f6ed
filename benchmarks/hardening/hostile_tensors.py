"""Hostile requests for the signatures that take raw tensors."""

from typing import Any

import numpy as np

from benchmarks.hardening.hostile_values import pick, random_count, random_value, random_width, repeat_to, width_of
from benchmarks.hardening.request_case import Case
from din_trainer.features import Column, FeatureConfig
from din_trainer.raw_inputs import inputs_of

_NUMPY: dict[str, Any] = {"int64": np.int64, "float32": np.float32, "float64": np.float64, "string": object}


class HostileTensors:
    """Makes one request of raw tensors.

    Args:
        rng: The case's random numbers.
        features: What the model reads.
        dtypes: The dtype of each input of the signature.
    """

    def __init__(self, rng: np.random.Generator, features: FeatureConfig, dtypes: dict[str, str]) -> None:
        self._rng, self._features, self._dtypes = rng, features, dtypes
        self._inputs = inputs_of(features)

    def case(self, signature: str) -> Case:
        """Returns the request, for one signature."""
        rng = self._rng
        count = int(pick(rng, [0, 1, 1, 1, 2, 7]))
        candidates = (int(pick(rng, [0, 1, 2, 5, 200])),) if signature == "rank" else ()
        widths = {sequence: random_width(rng) for sequence in self._features.sequences}
        tags = {read.column.name: random_count(rng) for read in self._inputs}
        inputs = {}
        for read in self._inputs:
            shape: tuple[int, ...] = (count,)
            if read.sequence:
                shape = (count, width_of(read, widths))
            elif read.column.role == "candidate":
                shape = (count, *candidates)
            if read.column.width != 1:
                long = max(widths.values()) > 100 or candidates > (5,)  # so that a request stays of moderate size
                shape = (*shape, read.column.width or (2 if long else tags[read.beside or read.column.name]))
            inputs[read.column.name] = self._array(read.column, shape)
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
            values[:] = repeat_to([random_value(rng, kind) for _ in range(min(size, 50))], size)
        return values.reshape(shape)

    def _spoil(self, case: Case) -> Case:
        """Changes one input, so that the model may refuse the request."""
        rng = self._rng
        name = str(rng.choice(sorted(case.inputs)))
        kind = pick(rng, ["type", "rank", "rows", "width", "events", "scalar", "missing", "stranger"])
        inputs, array = dict(case.inputs), case.inputs[name]
        if kind == "type":
            others = [dtype for dtype in (np.int64, np.float32, np.float64, np.int32, np.bool_, object) if dtype != array.dtype]
            dtype = pick(rng, others)
            inputs[name] = np.full(array.shape, b"1", object) if dtype is object else np.ones(array.shape, dtype)
        elif kind == "rank":
            inputs[name] = array[..., None] if rng.random() < 0.5 else array.reshape(-1)
        elif kind == "scalar":
            inputs[name] = np.resize(array, ()) if array.size else np.full((2, 2, 2), b"" if array.dtype == object else 0, array.dtype)
        elif kind == "rows" and array.ndim:
            inputs[name] = np.resize(array, (len(array) + int(pick(rng, [-1, 1, 2])) if len(array) else 1, *array.shape[1:]))
        elif kind == "width" and array.ndim > 1:
            inputs[name] = np.resize(array, (*array.shape[:-1], int(pick(rng, [0, 1, 3, 6]))))
        elif kind == "events" and array.ndim > 2:
            inputs[name] = np.resize(array, (len(array), int(pick(rng, [0, 1, 3, 6])), *array.shape[2:]))
        elif kind == "missing":
            del inputs[name]
        else:
            kind = "stranger"
            inputs[f"{name}_2"] = array
        return Case(case.signature, inputs, None, "either", [*case.what, f"{name}: {kind}"])
