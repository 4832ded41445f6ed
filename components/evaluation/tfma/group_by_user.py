"""Groups impressions by user for TFMA's metrics: each input of a metric is one slice of one shard of users, as arrays.

By default TFMA calls every metric in Python for every impression, slice and model, which is slow. All impressions of a user (and so of a
request) are in one shard, so a metric within users is exact on slices by any feature.
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

_SHARDS = 8  # each must fit into memory

Columns = dict[str, np.ndarray]  # (N,) by name


def feature_column(values: Any, rows: int) -> np.ndarray:
    """A feature with at most one value in a row, as (rows,). If values are missing, the array has objects, None where one is missing."""
    if isinstance(values, np.ndarray):
        return values.reshape(rows)
    present, column = np.asarray(values.indices)[:, 0], np.asarray(values.values)
    if len(present) == rows:
        return column
    result = np.full(rows, None, dtype=object)
    result[present] = column
    return result


def _ids(column: np.ndarray) -> np.ndarray:
    """Ids that can be compared and hashed: numbers stay, other ids become bytes, a missing id becomes b""."""
    if column.dtype != object:
        return column
    return np.array([value if isinstance(value, bytes) else b"" if value is None else str(value).encode() for value in column], object)


def _shards(user: np.ndarray) -> np.ndarray:
    """(N,) user ids -> (N,) shards. A user has the same shard in every process."""
    return pd.util.hash_array(user) % _SHARDS


class _Shard(beam.DoFn):
    """Splits a batch of extracts into pairs (shard, columns)."""

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
    """Makes one extract for each slice of a shard."""

    def __init__(self, slices: list[list[str]], user_key: str | None, request_key: str | None):
        self._slices, self._user_key, self._request_key = slices, user_key, request_key

    def process(self, element: tuple[int, Iterable[dict[str, Columns]]]) -> Iterator[dict[str, Any]]:
        columns = _concatenate(list(element[1]))
        columns["key"] = self._keys(columns["feature"], len(columns["label"][""]))
        for features in self._slices:
            for key, rows in slice_rows({name: columns["feature"][name] for name in features}, len(columns["label"][""])):
                yield self._extract(columns, rows, key)

    def _keys(self, features: Columns, rows: int) -> Columns:
        """The user ids, and the numbers of the requests, −1 where an impression has none."""
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
    """Replaces TFMA's unbatch and slice key extractors.

    Args:
        eval_config: The slices are its `slicing_specs` by feature keys. Feature values and cross slicing specs are ignored.
        user_key: The raw feature with the user id; None if the data has none.
        request_key: The raw feature with the request id; None if the data has none.
    """
    slices = [list(spec.feature_keys) for spec in eval_config.slicing_specs]
    transform = _GroupByUser(slices, user_key, request_key)
    return tfma.extractors.Extractor(slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME, transform)
