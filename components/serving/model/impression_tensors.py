"""Converts impressions to the inputs of the signatures: serialised tf.Examples, or raw tensors with padded histories.

`components.serving.model.impression_values` says what an impression is and which values are refused.
"""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from components.serving.model.impression_values import Impression, Input, check_alignment, check_keys, values_of
from din_trainer.features import HISTORICAL_TIMESTAMPS, FeatureConfig

Tensors = dict[str, np.ndarray]
Features = FeatureConfig | Sequence[Input]  # of a model: from its configuration, or from the signatures of a served model


def inputs_of(features: Features) -> Sequence[Input]:
    """Returns what a model reads, in the order of its columns."""
    if not isinstance(features, FeatureConfig):
        return features
    numbers = {name for name, feature in features.side.items() if feature.kind == "numeric"}
    return [Input(column, column.name in numbers) for column in features.columns]


def _sequences(features: Features) -> list[list[str]]:
    """Returns the names of the histories of each sequence. Signatures do not say them."""
    if not isinstance(features, FeatureConfig):
        return []
    sequences = [[behaviour.history for behaviour in behaviours.values()] for behaviours in features.sequences.values()]
    return [sequences[0] + [HISTORICAL_TIMESTAMPS] * features.time_gap, *sequences[1:]]


def check_impressions(rows: Sequence[Impression], features: Features) -> None:
    """Checks what concerns more than one feature of an impression: no key is misspelt, and the histories of a sequence are aligned.

    Raises:
        ValueError: A check fails.
    """
    names, sequences = {read.column.name for read in inputs_of(features)}, _sequences(features)
    for row in rows:
        check_keys(row, names)
        check_alignment(row, sequences)


def to_example(row: Impression, features: Features) -> bytes:
    """Returns an impression as a serialised tf.Example, for `serving_default`.

    Raises:
        ValueError: A feature has a value that it cannot have, or lacks one that it needs; or a key is misspelt.
    """
    from tensorflow.core.example.example_pb2 import Example

    example = Example()
    for read in inputs_of(features):
        values = values_of(row, read)
        if values:
            feature = example.features.feature[read.column.name]
            kind = {"int64": feature.int64_list, "bytes": feature.bytes_list, "float": feature.float_list}[read.column.dtype]
            kind.value.extend(values)
    check_impressions([row], features)
    return example.SerializeToString()


def _tensors(rows: Sequence[Impression], inputs: Sequence[Input], pad_to: int) -> Tensors:
    """Returns features as (B,) and histories as (B, T), padded on the right with −1 or ""."""
    found = {read.column.name: [values_of(row, read) for row in rows] for read in inputs}
    histories = {read.column.name for read in inputs if read.column.presence == "sequence"}
    width = max([pad_to, *(len(values) for name in histories for values in found[name])])
    tensors = {}
    for read in inputs:
        length = width if read.column.name in histories else 1
        padded = [[*values, *[read.missing] * (length - len(values))] for values in found[read.column.name]]
        array = np.array(padded, read.numpy).reshape(len(rows), length)
        tensors[read.column.name] = array if read.column.name in histories else array[:, 0]
    return tensors


def predict_tensors(rows: Sequence[Impression], features: Features, pad_to: int = 1) -> Tensors:
    """Returns impressions as the inputs of `predict`: (B,) for a feature, (B, T) for a history; int64, floats, or bytes as objects.

    Args:
        rows: Impressions.
        features: What the model reads.
        pad_to: T is at least this.

    Raises:
        ValueError: A feature has a value that it cannot have, or lacks one that it needs; or a key is misspelt.
    """
    tensors = _tensors(rows, inputs_of(features), pad_to)
    check_impressions(rows, features)
    return tensors


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
    inputs = inputs_of(features)
    width = max([1, *map(len, candidates)])
    tensors = _tensors(users, [read for read in inputs if read.column.role != "candidate"], pad_to)
    for read in inputs:
        if read.column.role == "candidate":
            padded = [[*(values_of(row, read)[0] for row in rows), *[read.missing] * (width - len(rows))] for rows in candidates]
            tensors[read.column.name] = np.array(padded, read.numpy).reshape(len(candidates), width)
    check_impressions([{**user, **(rows[0] if rows else {})} for user, rows in zip(users, candidates, strict=True)], features)
    return tensors


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
