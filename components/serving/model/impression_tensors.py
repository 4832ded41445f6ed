"""Converts impressions to the inputs of the signatures: serialised tf.Examples, or raw tensors with padded histories.

An impression is a dict of raw features as in `sample.jsonl`: scalars, and lists for histories. Features that the model does not read are
ignored. A value is missing if it is None, an empty list, or has no key.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from din_trainer.features import Column, FeatureConfig

Impression = dict[str, Any]
Tensors = dict[str, np.ndarray]

_NUMPY: dict[str, Any] = {"int64": np.int64, "float": np.float32, "bytes": object}
_MISSING: dict[str, Any] = {"int64": -1, "float": float("nan"), "bytes": b""}


class Input(NamedTuple):
    """A raw feature as an input of `predict` and `rank`.

    Attributes:
        column: The feature.
        number: Whether the input is a float, with NaN for missing values: float64 for an int64 feature, otherwise float32.
    """

    column: Column
    number: bool

    @property
    def numpy(self) -> Any:
        return np.float64 if self.number and self.column.dtype == "int64" else _NUMPY[self.column.dtype]

    @property
    def missing(self) -> Any:
        return _MISSING["float"] if self.number else _MISSING[self.column.dtype]


Features = FeatureConfig | Sequence[Input]  # of a model: from its configuration, or from the signatures of a served model


def inputs_of(features: Features) -> Sequence[Input]:
    """Returns what a model reads, in the order of its columns."""
    if not isinstance(features, FeatureConfig):
        return features
    numbers = {name for name, feature in features.side.items() if feature.kind == "numeric"}
    return [Input(column, column.name in numbers) for column in features.columns]


def _values(row: Impression, column: Column) -> list[Any]:
    """Returns the values of a feature, with text as UTF-8.

    Raises:
        ValueError: A value is not of the feature's type.
    """
    values = row.get(column.name)
    values = values if isinstance(values, list) else [] if values is None else [values]
    if column.dtype == "bytes":
        values = [value.encode(errors="surrogateescape") if isinstance(value, str) else value for value in values]
    kinds: Any = {"int64": int, "bytes": bytes, "float": (int, float)}[column.dtype]
    if not all(isinstance(value, kinds) and not isinstance(value, bool) for value in values):
        raise ValueError(f"feature {column.name!r} is {json.dumps(row[column.name], default=repr)}, but {column.dtype} is needed")
    return values


def to_example(row: Impression, features: Features) -> bytes:
    """Returns an impression as a serialised tf.Example, for `serving_default`.

    Raises:
        ValueError: A value is not of the feature's type.
    """
    from tensorflow.core.example.example_pb2 import Example

    example = Example()
    for column, _ in inputs_of(features):
        values = _values(row, column)
        if values:
            feature = example.features.feature[column.name]
            kind = {"int64": feature.int64_list, "bytes": feature.bytes_list, "float": feature.float_list}[column.dtype]
            try:
                kind.value.extend(values)
            except ValueError as error:
                raise ValueError(f"feature {column.name!r} is {json.dumps(row[column.name])}, but {column.dtype} is needed") from error
    return example.SerializeToString()


def _column(rows: Sequence[Impression], read: Input) -> np.ndarray:
    """Returns one value for each row, −1, "" or NaN if it is missing: (B,)."""
    found = [_values(row, read.column) for row in rows]
    if any(len(values) > 1 or (not values and read.column.presence == "required") for values in found):
        raise ValueError(f"feature {read.column.name!r} needs one value an impression")
    return _array([values[0] if values else read.missing for values in found], read)


def _array(values: list[Any], read: Input) -> np.ndarray:
    try:
        return np.array(values, read.numpy)
    except OverflowError as error:
        raise ValueError(f"feature {read.column.name!r} has a value beyond 64 bits") from error


def _width(rows: Sequence[Impression], features: Features, pad_to: int) -> int:
    """Returns T: the largest number of events that a row has in any of its histories, and at least `pad_to`."""
    histories = [read.column for read in inputs_of(features) if read.column.presence == "sequence"]
    return max([pad_to, *(len(_values(row, column)) for row in rows for column in histories)])


def _history(rows: Sequence[Impression], read: Input, width: int) -> np.ndarray:
    """Returns the events of each row, padded on the right with −1 or "": (B, T)."""
    found = [_values(row, read.column) for row in rows]
    padded = [values + [read.missing] * (width - len(values)) for values in found]
    return _array(padded, read).reshape(len(rows), width)


def predict_tensors(rows: Sequence[Impression], features: Features, pad_to: int = 1) -> Tensors:
    """Returns impressions as the inputs of `predict`: (B,) for a feature, (B, T) for a history; int64, floats, or bytes as objects.

    Args:
        rows: Impressions.
        features: What the model reads.
        pad_to: T is at least this.

    Raises:
        ValueError: A value is not of the feature's type, or a required value is missing.
    """
    width = _width(rows, features, pad_to)
    return {
        read.column.name: _history(rows, read, width) if read.column.presence == "sequence" else _column(rows, read)
        for read in inputs_of(features)
    }


def rank_tensors(users: Sequence[Impression], candidates: Sequence[Sequence[Impression]], features: Features, pad_to: int = 1) -> Tensors:
    """Returns users and their candidates as the inputs of `rank`: those of `predict`, but the features of the candidates are (B, N).

    Args:
        users: Impressions; their candidate, if they have one, is ignored.
        candidates: For each user N dicts with the features of a candidate. Shorter lists are padded; the scores of padding mean nothing.
        features: What the model reads.
        pad_to: T is at least this.

    Raises:
        ValueError: As for `predict_tensors`.
    """
    width = max([1, *map(len, candidates)])
    tensors = {}
    for read in inputs_of(features):
        if read.column.role == "candidate":
            padded = [[*row, *[{read.column.name: read.missing}] * (width - len(row))] for row in candidates]
            tensors[read.column.name] = _column([row for rows in padded for row in rows], read).reshape(len(candidates), width)
    blank = {name: values[0, 0] for name, values in tensors.items()} if users else {}
    blank = {name: value.item() if isinstance(value, np.generic) else value for name, value in blank.items()}
    return {**predict_tensors([{**user, **blank} for user in users], features, pad_to), **tensors}


def as_impressions(users: Sequence[Impression], candidates: Sequence[Sequence[Impression]]) -> list[Impression]:
    """Returns the impressions that `rank` scores, user by user: each user with each of their candidates."""
    return [{**user, **candidate} for user, row in zip(users, candidates, strict=True) for candidate in row]


def json_inputs(tensors: Tensors) -> dict[str, Any]:
    """Returns tensors of `predict` or `rank` as the `inputs` of a REST request, by column; bytes as in `json_instances`."""
    return {name: _to_json(values) for name, values in tensors.items()}


def json_instances(tensors: Tensors) -> list[dict[str, Any]]:
    """Returns tensors of `predict` or `rank` as the `instances` of a REST request: UTF-8 bytes as text, other bytes as {"b64": …}."""
    names = list(tensors)
    return [dict(zip(names, map(_to_json, row), strict=True)) for row in zip(*tensors.values(), strict=True)]


def _to_json(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_to_json(element) for element in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    return value.item() if isinstance(value, np.generic) else value
