"""Computes confidence intervals of the metrics over users, also of the difference from the baseline, and the curves of the report."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.artifact_types import INTERVALS_FILE, ConfidenceIntervals
from components.base.example_reader import RAW, read_batches, read_schema, split_files
from components.base.saved_models import load_saved_model
from components.evaluation.curve_points import curves
from components.evaluation.metrics.id_numbers import numbers, numbers_within
from components.evaluation.poisson_bootstrap import Slice, intervals
from components.evaluation.slices import SliceKey, slice_rows, slice_text


class Scored:
    """The impressions of a split with the scores of the models, in memory.

    Args:
        files: TFRecords.
        schema: Their schema.
        names: The features to keep.
        models: SavedModels with the signature `serving_default`, by name.

    Attributes:
        columns: (N,) by feature.
        scores: (N,) by model.
    """

    def __init__(self, files: list[str], schema: schema_pb2.Schema, names: list[str], models: dict[str, str]):
        loaded = {name: load_saved_model(path) for name, path in models.items()}
        columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
        scores: dict[str, list[np.ndarray]] = {name: [] for name in models}
        for batch in read_batches(files, schema, names):
            for name in names:
                columns[name].append(_values(batch.column(name)))
            examples = tf.constant(batch.column(RAW).flatten().to_pylist(), tf.string)
            for name, model in loaded.items():
                scores[name].append(next(iter(model.signatures["serving_default"](examples=examples).values())).numpy())
        self.columns = {name: np.concatenate(parts) for name, parts in columns.items()}
        self.scores = {name: np.concatenate(parts).astype(np.float64) for name, parts in scores.items()}


def _values(column: pa.Array) -> np.ndarray:
    """A column with at most one value in a row: (N,), None where the value is missing."""
    values = column.flatten()
    if len(values) == len(column):
        return values.to_numpy() if pa.types.is_primitive(values.type) else _shared_objects(values)
    return np.array([row[0] if row else None for row in column.to_pylist()] + [None], dtype=object)[:-1]


def _shared_objects(values: pa.Array) -> np.ndarray:
    """(N,) objects; equal values are one object, since each takes about 40 bytes."""
    encoded = values.dictionary_encode()
    return np.array([*encoded.dictionary.to_pylist(), None], object)[encoded.indices.to_numpy()]


def cut(scored: Scored, slices: list[dict[str, Any]], label: str, user: str, request: str) -> Iterator[tuple[SliceKey, Slice]]:
    """Yields the slices that occur in the data.

    Args:
        scored: The impressions.
        slices: Dicts of `features` (none for the overall slice) and `metrics` (those to compute there).
        label: Name of the label.
        user: Name of the user id. If it is empty, requests are drawn instead of users, or impressions if there is no request id either.
        request: Name of the request id, or empty.
    """
    labels = scored.columns[label].astype(np.float64)
    users = numbers(scored.columns[user]) + 1 if user else None  # all impressions without a user id count as one user
    requests = numbers_within(np.zeros(len(labels)) if users is None else users, scored.columns[request]) if request else None
    drawn = users if users is not None else np.arange(len(labels)) if requests is None else requests + 1
    for asked in slices:
        for key, rows in slice_rows({name: scored.columns[name] for name in asked["features"]}, len(labels)):
            scores = {name: score[rows] for name, score in scored.scores.items()}
            yield key, Slice(labels[rows], scores, drawn[rows], None if requests is None else requests[rows], asked["metrics"])


def _natural(value: Any) -> tuple[float, str]:
    """The sort key of a slice's value: numbers and buckets by number (`6-10` before `11-20`), other values by text."""
    begin = str(value).partition("-")[0]
    return (float(begin) if begin.isdecimal() else math.inf, str(value))


def evaluate(scored: Scored, settings: dict[str, Any]) -> dict[str, Any]:
    """The content of `intervals.json`: the settings, the slices with their counts and intervals, and the overall curves."""
    keys = {name: settings[name] for name in ("label", "user", "request")}
    keyed = list(cut(scored, settings["slices"], **keys))
    order = {tuple(asked["features"]): number for number, asked in enumerate(settings["slices"])}
    keyed.sort(key=lambda pair: (order[tuple(feature for feature, _ in pair[0])], [_natural(value) for _, value in pair[0]]))
    users = int(max((piece.user.max() for _, piece in keyed), default=-1)) + 1
    found = intervals([piece for _, piece in keyed], users, settings["replicates"], settings["confidence"], settings["seed"])
    rows = [
        {
            "slice": slice_text(key),
            "key": [list(part) for part in key],
            "examples": len(piece.label),
            "clicks": int(piece.label.sum()),
            "users": len(np.unique(piece.user)) if keys["user"] else None,
            "metrics": metrics,
        }
        for (key, piece), metrics in zip(keyed, found, strict=True)
    ]
    label = scored.columns[keys["label"]]
    return {
        "confidence": settings["confidence"],
        "replicates": settings["replicates"],
        "slices": rows,
        "curves": {name: curves(label, score) for name, score in scored.scores.items()},
    }


@component
def UserBootstrap(
    examples: InputArtifact[standard_artifacts.Examples],
    schema: InputArtifact[standard_artifacts.Schema],
    model: InputArtifact[standard_artifacts.Model],
    intervals: OutputArtifact[ConfidenceIntervals],
    settings: Parameter[str],
    source_fingerprint: Parameter[str],
    baseline_model: InputArtifact[standard_artifacts.Model] = None,
) -> None:
    """Scores the eval split with the model and the baseline, and draws its users again and again. The needed columns are kept in memory.

    Args:
        examples: tf.Examples with the split `eval`.
        schema: Their schema.
        model: SavedModel with the signature `serving_default`.
        intervals: Receives `intervals.json`.
        settings: JSON object: `slices` (see `cut`), `label`, `user`, `request`, `replicates`, `confidence`, `seed`.
        source_fingerprint: Changes with this code, so that TFX does not reuse old intervals.
        baseline_model: A SavedModel of the same kind, if there is a baseline.
    """
    del source_fingerprint
    asked = json.loads(settings)
    models = {"candidate": model, **({"baseline": baseline_model} if baseline_model else {})}
    features = {name for cut in asked["slices"] for name in cut["features"]}
    names = sorted({*features, *(asked[key] for key in ("label", "user", "request") if asked[key])})
    paths = {name: path_utils.serving_model_path(artifact.uri) for name, artifact in models.items()}
    result = evaluate(Scored(split_files(examples, "eval"), read_schema(schema), names, paths), asked)
    Path(intervals.uri).mkdir(parents=True, exist_ok=True)
    (Path(intervals.uri) / INTERVALS_FILE).write_text(json.dumps(result))
