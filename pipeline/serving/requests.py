"""Impressions as the signatures take them: serialised tf.Examples, or raw tensors with histories padded.

An impression is a dict of raw features as `sample.jsonl` has them: scalars, and lists for histories; features that the model does not read
are left out, and None, an empty list or no key at all is a missing value.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from din_trainer.features import Column, FeatureConfig

Impression = dict[str, Any]
Tensors = dict[str, np.ndarray]

_NUMPY: dict[str, Any] = {"int64": np.int64, "float": np.float32, "bytes": object}
_MISSING: dict[str, Any] = {"int64": -1, "float": float("nan"), "bytes": b""}


def _values(row: Impression, column: Column) -> list[Any]:
    """The values of a feature, text as UTF-8.

    Raises:
        ValueError: One is not of the feature's type.
    """
    values = row.get(column.name)
    values = values if isinstance(values, list) else [] if values is None else [values]
    if column.dtype == "bytes":
        values = [value.encode() if isinstance(value, str) else value for value in values]
    kinds = {"int64": int, "bytes": bytes, "float": (int, float)}[column.dtype]
    if not all(isinstance(value, kinds) and not isinstance(value, bool) for value in values):
        raise ValueError(f"feature {column.name!r} is {json.dumps(row[column.name], default=repr)}, but {column.dtype} is needed")
    return values


def to_example(row: Impression, features: FeatureConfig) -> bytes:
    """An impression as a serialised tf.Example, for `serving_default`.

    Raises:
        ValueError: A value is not of the feature's type.
    """
    from tensorflow.core.example.example_pb2 import Example

    example = Example()
    for column in features.columns:
        values = _values(row, column)
        if values:
            feature = example.features.feature[column.name]
            kind = {"int64": feature.int64_list, "bytes": feature.bytes_list, "float": feature.float_list}[column.dtype]
            try:
                kind.value.extend(values)
            except ValueError as error:
                raise ValueError(f"feature {column.name!r} is {json.dumps(row[column.name])}, but {column.dtype} is needed") from error
    return example.SerializeToString()


def _column(rows: Sequence[Impression], column: Column) -> np.ndarray:
    """One value a row, −1, "" or NaN where it is missing: (B,)."""
    found = [_values(row, column) for row in rows]
    if any(len(values) > 1 or (not values and column.presence == "required") for values in found):
        raise ValueError(f"feature {column.name!r} needs one value an impression")
    return _array([values[0] if values else _MISSING[column.dtype] for values in found], column)


def _array(values: list[Any], column: Column) -> np.ndarray:
    try:
        return np.array(values, _NUMPY[column.dtype])
    except OverflowError as error:
        raise ValueError(f"feature {column.name!r} has a value beyond 64 bits") from error


def _history(rows: Sequence[Impression], column: Column) -> np.ndarray:
    """The events of each row, padded on the right with −1 or "": (B, T), T the most events of a row and at least 1."""
    found = [_values(row, column) for row in rows]
    width = max([1, *map(len, found)])
    padded = [values + [_MISSING[column.dtype]] * (width - len(values)) for values in found]
    return _array(padded, column).reshape(len(rows), width)


def predict_tensors(rows: Sequence[Impression], features: FeatureConfig) -> Tensors:
    """Impressions as the inputs of `predict`: (B,) a feature, (B, T) a history; int64, float32, or bytes as objects.

    Raises:
        ValueError: A value is not of the feature's type, or a required one is missing.
    """
    numbers = {name for name, feature in features.side.items() if feature.kind == "numeric"}  # float32, whatever their column
    columns = [column._replace(dtype="float") if column.name in numbers else column for column in features.columns]
    return {column.name: (_history if column.presence == "sequence" else _column)(rows, column) for column in columns}


def rank_tensors(users: Sequence[Impression], candidates: Sequence[Sequence[Impression]], features: FeatureConfig) -> Tensors:
    """Users and the candidates of each as the inputs of `rank`: those of `predict`, but the candidates' features are (B, N).

    Args:
        users: Impressions without, or of which nobody reads, the candidate.
        candidates: For each user N dicts with the candidate's features; a shorter list is padded, and its last scores mean nothing.

    Raises:
        ValueError: As `predict_tensors`.
    """
    width = max([1, *map(len, candidates)])
    tensors = {}
    for column in features.columns:
        if column.role == "candidate":
            padded = [[*row, *[{column.name: _MISSING[column.dtype]}] * (width - len(row))] for row in candidates]
            tensors[column.name] = _column([row for rows in padded for row in rows], column).reshape(len(candidates), width)
    blank = {name: values[0, 0] for name, values in tensors.items()} if users else {}
    blank = {name: value.item() if isinstance(value, np.generic) else value for name, value in blank.items()}
    return {**predict_tensors([{**user, **blank} for user in users], features), **tensors}


def as_impressions(users: Sequence[Impression], candidates: Sequence[Sequence[Impression]]) -> list[Impression]:
    """The impressions whose scores `rank` gives, user by user: each user with each of their candidates."""
    return [{**user, **candidate} for user, row in zip(users, candidates, strict=True) for candidate in row]


def json_instances(tensors: Tensors) -> list[dict[str, Any]]:
    """Tensors of `predict` or `rank` as the `instances` of a REST request: bytes that are text as text, others as {"b64": …}."""
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
