"""Converts impressions to the inputs of the signatures: serialised tf.Examples, or raw tensors with padded histories.

`components.serving.model.impression_values` says what an impression is and which values are refused.
"""

import base64
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from components.serving.model.impression_values import Impression, check_alignment, check_keys, values_of
from din_trainer.raw_inputs import Features, Input, groups_of, inputs_of

Tensors = dict[str, np.ndarray]

_LISTS = {"int64": "int64_list", "bytes": "bytes_list", "float": "float_list"}


def check_impressions(rows: Sequence[Impression], features: Features) -> None:
    """Checks what concerns more than one feature of an impression: no key is misspelt, and the histories of a sequence are aligned.

    Raises:
        ValueError: A check fails.
    """
    inputs = inputs_of(features)
    names, sequences = {read.column.name for read in inputs}, groups_of(inputs)
    for row in rows:
        check_keys(row, names)
        check_alignment(row, sequences)


def to_example(row: Impression, features: Features) -> bytes:
    """Returns an impression as a serialised tf.Example, for `serving_default`.

    Raises:
        ValueError: A feature has a value that it cannot have, or lacks one that it needs; or a key is misspelt.
    """
    from tensorflow.core.example.example_pb2 import Example

    example, inputs = Example(), inputs_of(features)
    for read in inputs:
        for name, dtype, values in in_example(values_of(row, read), read):
            getattr(example.features.feature[name], _LISTS[dtype]).value.extend(values)
    check_impressions([row], inputs)
    return example.SerializeToString()


def in_example(values: list[Any], read: Input) -> Iterator[tuple[str, str, list[Any]]]:
    """Yields what the data has of a feature that has a value: name, type and values.

    The lists of events follow one another. Tags have the column of their lengths beside them, and a missing vector is all NaN.
    """
    column = read.column
    if column.presence == "sequence" and column.width is None:
        if read.lengths and read.use != "weight" and values:
            yield read.lengths, "int64", list(map(len, values))
        values = [value for event in values for value in event]
    elif column.presence == "sequence" and column.width != 1:
        values = [number for vector in values for number in (vector or [read.missing] * (column.width or 0))]
    if values:
        yield column.name, column.dtype, values


def _array(found: Sequence[list[Any]], read: Input, outer: int | None, pad_tags: bool) -> np.ndarray:
    """Returns the values of a feature as a tensor, padded on the right.

    Args:
        found: B lists. Without an outer dimension they have the values of an impression, otherwise those of its events or candidates.
        read: The feature.
        outer: The size of the second dimension, of events or candidates; None: there is none.
        pad_tags: Whether tags are padded to as many as the model reads; otherwise to the most that there are.
    """
    missing, width = read.missing, read.column.width
    if outer is None and width == 1:
        return np.array([values[0] if values else missing for values in found], read.numpy).reshape(len(found))
    if outer is None:
        return _array([[values] for values in found], read, 1, pad_tags)[:, 0]
    if width == 1:
        return np.array([[*row, *[missing] * (outer - len(row))] for row in found], read.numpy).reshape(len(found), outer)
    inner = width or max([read.most if pad_tags else 1, *(len(values) for row in found for values in row)])
    padded = [[[*values, *[missing] * (inner - len(values))] for values in (*row, *[[]] * (outer - len(row)))] for row in found]
    return np.array(padded, read.numpy).reshape(len(found), outer, inner)


def _tensors(rows: Sequence[Impression], inputs: Sequence[Input], pad_to: int) -> Tensors:
    """Returns features as (B,) and histories as (B, T), padded on the right with −1 or "", and tags and vectors with one dimension more."""
    found = {read.column.name: [values_of(row, read) for row in rows] for read in inputs}
    histories = {read.column.name for read in inputs if read.column.presence == "sequence"}
    width = max([pad_to, *(len(values) for name in histories for values in found[name])])
    outer = {name: width if name in histories else None for name in found}
    return {read.column.name: _array(found[read.column.name], read, outer[read.column.name], pad_to > 1) for read in inputs}


def predict_tensors(rows: Sequence[Impression], features: Features, pad_to: int = 1) -> Tensors:
    """Returns impressions as the inputs of `predict`: (B,) for a feature, (B, T) for a history; int64, floats, or bytes as objects.

    Tags have one dimension more, of K values that are padded with −1 or "" (their weights with 0), and vectors one of their size.

    Args:
        rows: Impressions.
        features: What the model reads.
        pad_to: T is at least this. If it is more than 1, K is at least the number of tags that the model reads.

    Raises:
        ValueError: A feature has a value that it cannot have, or lacks one that it needs; or a key is misspelt.
    """
    inputs = inputs_of(features)
    tensors = _tensors(rows, inputs, pad_to)
    check_impressions(rows, inputs)
    return tensors


def rank_tensors(users: Sequence[Impression], candidates: Sequence[Sequence[Impression]], features: Features, pad_to: int = 1) -> Tensors:
    """Returns users and their candidates as the inputs of `rank`: those of `predict`, but the candidates' features are (B, N) and more.

    Args:
        users: Impressions; their candidate, if they have one, is ignored.
        candidates: For each user N dicts with the features of a candidate. Shorter lists are padded; the scores of padding mean nothing.
        features: What the model reads.
        pad_to: T is at least this. If it is more than 1, K is at least the number of tags that the model reads.

    Raises:
        ValueError: As for `predict_tensors`.
    """
    inputs = inputs_of(features)
    width = max([1, *map(len, candidates)])
    tensors = _tensors(users, [read for read in inputs if read.column.role != "candidate"], pad_to)
    for read in inputs:
        if read.column.role == "candidate":
            found = [[_of_candidate(row, read) for row in rows] for rows in candidates]
            tensors[read.column.name] = _array(found, read, width, pad_to > 1)
    check_impressions([{**user, **(rows[0] if rows else {})} for user, rows in zip(users, candidates, strict=True)], inputs)
    return tensors


def _of_candidate(row: Impression, read: Input) -> Any:
    """Returns the values of a candidate's feature; without a list if it has one at most."""
    values = values_of(row, read)
    return values if read.column.width != 1 else values[0] if values else read.missing


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
        return [_to_json(element) for element in value] if value.dtype == object else value.tolist()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    return value.item() if isinstance(value, np.generic) else value
