"""Groups impressions by user for TFMA's metrics: each input of a metric is one slice of one shard of users, as arrays.

By default TFMA calls every metric in Python for every impression, slice and model, which is slow. All impressions of a user (and so of a
request) are in one shard, so a metric within users is exact on slices by any feature.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pandas as pd
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.extractors import slice_key_extractor
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib

from components.evaluation.labels import output_of
from components.evaluation.metrics.catalogue import PROBABILITY
from components.evaluation.metrics.id_numbers import numbers_within
from components.evaluation.slices import SliceKey, slice_rows

_SHARDS = 8  # each must fit into memory

Columns = dict[Any, np.ndarray]  # (N,) by name


def feature_column(values: Any, rows: int) -> np.ndarray:
    """A feature as (rows,), with objects if a row has no value or several: None where one is missing, a tuple where there are several."""
    if isinstance(values, np.ndarray):
        return values.reshape(rows)
    present, column = np.asarray(values.indices)[:, 0], np.asarray(values.values)
    counts = np.bincount(present, minlength=rows)
    if (counts == 1).all():
        return column
    result = np.full(rows, None, dtype=object)
    result[present] = column
    ends = np.cumsum(counts)
    for row in np.flatnonzero(counts > 1):
        result[row] = tuple(column[ends[row] - counts[row] : ends[row]])
    return result


def _ids(column: np.ndarray) -> np.ndarray:
    """Ids that can be compared and hashed: numbers stay, other ids become bytes, a missing id becomes b""."""
    if column.dtype != object:
        return column
    return np.array([value if isinstance(value, bytes) else b"" if value is None else str(value).encode() for value in column], object)


def _shards(user: np.ndarray) -> np.ndarray:
    """(N,) user ids -> (N,) shards. A user has the same shard in every process."""
    return pd.util.hash_array(user) % _SHARDS


class _Judged(NamedTuple):
    """What TFMA judges. A name is empty where there is only one: TFMA then has no dict for it.

    Attributes:
        models: The names of the models.
        outputs: The outputs that predict the labels.
    """

    models: list[str]
    outputs: list[str]

    def labels(self, extracts: dict[str, Any]) -> dict[str, np.ndarray]:
        """(N,) labels by output."""
        found = extracts[constants.LABELS_KEY]
        found = found[self.models[0]] if self.models[0] else found
        return {output: np.ravel(found[output] if output else found) for output in self.outputs}

    def scores(self, extracts: dict[str, Any]) -> dict[tuple[str, str], np.ndarray]:
        """(N,) scores by model and output; NaN where a model does not predict a label, so that its metrics are not defined."""
        result = {}
        for model in self.models:
            found = extracts[constants.PREDICTIONS_KEY]
            found = found[model] if model else found
            found = found if isinstance(found, dict) else {"": found}
            for output in self.outputs:
                name = output_of(found, output or PROBABILITY)
                result[model, output] = np.full(len(next(iter(found.values()))), np.nan) if name is None else np.ravel(found[name])
        return result


class _Shard(beam.DoFn):
    """Splits a batch of extracts into pairs (shard, columns)."""

    def __init__(self, judged: _Judged, user_key: str | None, features: list[str]):
        self._judged, self._user_key, self._features = judged, user_key, features

    def process(self, extracts: dict[str, Any]) -> Iterator[tuple[int, dict[str, Columns]]]:
        labels, scores = self._judged.labels(extracts), self._judged.scores(extracts)
        rows = len(labels[self._judged.outputs[0]])
        features = {name: feature_column(extracts[constants.FEATURES_KEY][name], rows) for name in self._features}
        shard = _shards(_ids(features[self._user_key])) if self._user_key else np.zeros(rows, np.int64)
        for number in np.unique(shard):
            chosen = shard == number
            kinds: dict[str, dict[Any, np.ndarray]] = {"label": labels, "score": scores, "feature": features}
            yield int(number), {kind: {name: column[chosen] for name, column in columns.items()} for kind, columns in kinds.items()}


def _concatenate(parts: list[dict[str, Columns]]) -> dict[str, Columns]:
    return {kind: {name: np.concatenate([part[kind][name] for part in parts]) for name in parts[0][kind]} for kind in parts[0]}


def _plain(values: dict[str, Any]) -> Any:
    """The value alone if it has no name."""
    return values.get("", values)


class _Slice(beam.DoFn):
    """Makes one extract for each slice of a shard."""

    def __init__(self, judged: _Judged, slices: list[list[str]], user_key: str | None, request_key: str | None):
        self._judged, self._slices, self._user_key, self._request_key = judged, slices, user_key, request_key

    def process(self, element: tuple[int, Iterable[dict[str, Columns]]]) -> Iterator[dict[str, Any]]:
        columns = _concatenate(list(element[1]))
        count = len(columns["label"][self._judged.outputs[0]])
        columns["key"] = self._keys(columns["feature"], count)
        for features in self._slices:
            for key, rows in slice_rows({name: columns["feature"][name] for name in features}, count):
                yield self._extract(columns, rows, key)

    def _keys(self, features: Columns, rows: int) -> Columns:
        """The user ids, and the numbers of the requests, −1 where an impression has none."""
        users = {self._user_key: _ids(features[self._user_key])} if self._user_key else {}
        outer = next(iter(users.values()), np.zeros(rows))
        return users | ({self._request_key: numbers_within(outer, features[self._request_key])} if self._request_key else {})

    def _extract(self, columns: dict[str, Columns], rows: np.ndarray, key: SliceKey) -> dict[str, Any]:
        models, outputs = self._judged
        scores = {model: _plain({output: columns["score"][model, output][rows] for output in outputs}) for model in models}
        return {
            constants.LABELS_KEY: _plain({output: columns["label"][output][rows] for output in outputs}),
            constants.PREDICTIONS_KEY: _plain(scores),
            constants.FEATURES_KEY: {name: column[rows] for name, column in columns["key"].items()},
            constants.SLICE_KEY_TYPES_KEY: slicer_lib.slice_keys_to_numpy_array([key]),
        }


@beam.ptransform_fn
def _GroupByUser(extracts: Any, judged: _Judged, slices: list[list[str]], user_key: str | None, request_key: str | None) -> Any:
    keys = [key for key in (user_key, request_key) if key]
    features = sorted({*keys, *(name for names in slices for name in names)})
    return (
        extracts
        | "ShardByUser" >> beam.ParDo(_Shard(judged, user_key, features))
        | "GroupShards" >> beam.GroupByKey()
        | "Slice" >> beam.ParDo(_Slice(judged, slices, user_key, request_key))
    )


def group_by_user_extractor(eval_config: config_pb2.EvalConfig, user_key: str | None, request_key: str | None) -> tfma.extractors.Extractor:
    """Replaces TFMA's unbatch and slice key extractors.

    Args:
        eval_config: The slices are its `slicing_specs` by feature keys. Feature values and cross slicing specs are ignored. Its models
            have a `label_key`, or the same `label_keys`.
        user_key: The raw feature with the user id; None if the data has none.
        request_key: The raw feature with the request id; None if the data has none.
    """
    slices = [list(spec.feature_keys) for spec in eval_config.slicing_specs]
    specs = eval_config.model_specs
    judged = _Judged([spec.name for spec in specs] if len(specs) > 1 else [""], sorted(specs[0].label_keys) or [""])
    transform = _GroupByUser(judged, slices, user_key, request_key)
    return tfma.extractors.Extractor(slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME, transform)
