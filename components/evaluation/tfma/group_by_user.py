"""Extracts in which a user is whole: TFMA's input of metrics, a shard of users and a slice at a time instead of an impression at a time.

TFMA calls every metric for every impression, slice and model, in Python. Here a call gets arrays. And since all impressions of a user (and
so of a request) are in one shard, a metric within users is exact on any slice, whatever the slice is made of.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pandas as pd
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.extractors import slice_key_extractor
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib

from components.evaluation.metrics.id_numbers import numbers_within
from components.evaluation.slices import SliceKey, slice_rows

_SHARDS = 8  # each is held in memory as a whole

Columns = dict[str, np.ndarray]  # (N,) by name


def feature_column(values: Any, rows: int) -> np.ndarray:
    """A feature of at most one value as (rows,); as objects with None where it is missing, if it is."""
    if isinstance(values, np.ndarray):
        return values.reshape(rows)
    present, column = np.asarray(values.indices)[:, 0], np.asarray(values.values)
    if len(present) == rows:
        return column
    result = np.full(rows, None, dtype=object)
    result[present] = column
    return result


def _ids(column: np.ndarray) -> np.ndarray:
    """Ids that can be compared and hashed: numbers as they are, all else as bytes; those that are missing are one."""
    if column.dtype != object:
        return column
    return np.array([value if isinstance(value, bytes) else b"" if value is None else str(value).encode() for value in column], object)


def _shards(user: np.ndarray) -> np.ndarray:
    """(N,) -> (N,), the same for a user in every process."""
    return pd.util.hash_array(user) % _SHARDS


class _Shard(beam.DoFn):
    """A batch of extracts -> (shard, its columns), keyed for grouping."""

    def __init__(self, user_key: str | None, features: list[str]):
        self._user_key, self._features = user_key, features

    def process(self, extracts: dict[str, Any]) -> Iterator[tuple[int, dict[str, Columns]]]:
        labels, predictions = extracts[constants.LABELS_KEY], extracts[constants.PREDICTIONS_KEY]
        label = next(iter(labels.values())) if isinstance(labels, dict) else labels
        scores = predictions if isinstance(predictions, dict) else {"": predictions}
        features = {name: feature_column(extracts[constants.FEATURES_KEY][name], len(label)) for name in self._features}
        shard = _shards(_ids(features[self._user_key])) if self._user_key else np.zeros(len(label), np.int64)
        for number in np.unique(shard):
            rows = shard == number
            yield (
                int(number),
                {
                    "label": {"": np.ravel(label)[rows]},
                    "score": {name: np.ravel(score)[rows] for name, score in scores.items()},
                    "feature": {name: column[rows] for name, column in features.items()},
                },
            )


def _concatenate(parts: list[dict[str, Columns]]) -> dict[str, Columns]:
    return {kind: {name: np.concatenate([part[kind][name] for part in parts]) for name in parts[0][kind]} for kind in parts[0]}


class _Slice(beam.DoFn):
    """The columns of a shard -> one extract a slice."""

    def __init__(self, slices: list[list[str]], user_key: str | None, request_key: str | None):
        self._slices, self._user_key, self._request_key = slices, user_key, request_key

    def process(self, element: tuple[int, Iterable[dict[str, Columns]]]) -> Iterator[dict[str, Any]]:
        columns = _concatenate(list(element[1]))
        columns["key"] = self._keys(columns["feature"], len(columns["label"][""]))
        for features in self._slices:
            for key, rows in slice_rows({name: columns["feature"][name] for name in features}, len(columns["label"][""])):
                yield self._extract(columns, rows, key)

    def _keys(self, features: Columns, rows: int) -> Columns:
        """Ids of users, and numbers of their requests, −1 where an impression has none."""
        users = {self._user_key: _ids(features[self._user_key])} if self._user_key else {}
        outer = next(iter(users.values()), np.zeros(rows))
        return users | ({self._request_key: numbers_within(outer, features[self._request_key])} if self._request_key else {})

    def _extract(self, columns: dict[str, Columns], rows: np.ndarray, key: SliceKey) -> dict[str, Any]:
        scores = {name: score[rows] for name, score in columns["score"].items()}
        return {
            constants.LABELS_KEY: columns["label"][""][rows],
            constants.PREDICTIONS_KEY: scores.get("", scores),
            constants.FEATURES_KEY: {name: column[rows] for name, column in columns["key"].items()},
            constants.SLICE_KEY_TYPES_KEY: slicer_lib.slice_keys_to_numpy_array([key]),
        }


@beam.ptransform_fn
def _GroupByUser(extracts: Any, slices: list[list[str]], user_key: str | None, request_key: str | None) -> Any:
    keys = [key for key in (user_key, request_key) if key]
    features = sorted({*keys, *(name for names in slices for name in names)})
    return (
        extracts
        | "ShardByUser" >> beam.ParDo(_Shard(user_key, features))
        | "GroupShards" >> beam.GroupByKey()
        | "Slice" >> beam.ParDo(_Slice(slices, user_key, request_key))
    )


def group_by_user_extractor(eval_config: config_pb2.EvalConfig, user_key: str | None, request_key: str | None) -> tfma.extractors.Extractor:
    """Stands for TFMA's unbatch and slice key extractors.

    Args:
        eval_config: Its `slicing_specs` by feature keys; feature values and cross slicing specs are not looked at.
        user_key: Raw feature with the user; None where the data has none.
        request_key: Raw feature with the request; None where the data has none.
    """
    slices = [list(spec.feature_keys) for spec in eval_config.slicing_specs]
    transform = _GroupByUser(slices, user_key, request_key)
    return tfma.extractors.Extractor(slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME, transform)
