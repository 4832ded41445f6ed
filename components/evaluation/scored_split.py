"""The impressions of a split with the scores of models, and the slices of them: what all metrics of our own are computed from."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from components.base.example_reader import RAW, read_batches
from components.base.saved_models import load_saved_model
from components.evaluation.labels import Label, output_of
from components.evaluation.metrics.id_numbers import numbers, numbers_within
from components.evaluation.poisson_bootstrap import Slice
from components.evaluation.slices import SliceKey, slice_rows, values_of


class Scored:
    """The impressions of a split with the scores of the models, in memory.

    Args:
        files: TFRecords.
        schema: Their schema.
        names: The features to keep.
        models: SavedModels with the signature `serving_default`, by name.
        labels: The labels whose predictions are kept.

    Attributes:
        columns: (N,) by feature, as `values_of` gives them.
        scores: (N,) by label and model. A model that does not predict a label has no scores for it.
    """

    def __init__(self, files: list[str], schema: schema_pb2.Schema, names: list[str], models: dict[str, str], labels: list[Label]):
        loaded = {name: load_saved_model(path).signatures["serving_default"] for name, path in models.items()}
        outputs = {name: {x.name: output_of(model.structured_outputs, x.output) for x in labels} for name, model in loaded.items()}
        columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
        scores: dict[str, dict[str, list[np.ndarray]]] = {
            label.name: {name: [] for name, found in outputs.items() if found[label.name]} for label in labels
        }
        for batch in read_batches(files, schema, names):
            for name in names:
                columns[name].append(values_of(batch.column(name)))
            examples = tf.constant(batch.column(RAW).flatten().to_pylist(), tf.string)
            for name, model in loaded.items():
                predicted = model(examples=examples)
                for label, output in outputs[name].items():
                    if output:
                        scores[label][name].append(predicted[output].numpy())
        self.columns = {name: np.concatenate(parts) for name, parts in columns.items()}
        self.scores = {
            label: {name: np.concatenate(parts).astype(np.float64) for name, parts in models.items()} for label, models in scores.items()
        }


def cut(scored: Scored, slices: list[dict[str, Any]], label: Label, user: str, request: str) -> Iterator[tuple[SliceKey, Slice]]:
    """Yields the slices that occur in the data, with one of the labels.

    Args:
        scored: The impressions.
        slices: Dicts of `features` (none for the overall slice) and `metrics` (those to compute there).
        label: The label.
        user: Name of the user id. If it is empty, requests are drawn instead of users, or impressions if there is no request id either.
        request: Name of the request id, or empty.
    """
    labels = scored.columns[label.column].astype(np.float64)
    users = numbers(scored.columns[user]) + 1 if user else None  # all impressions without a user id count as one user
    requests = numbers_within(np.zeros(len(labels)) if users is None else users, scored.columns[request]) if request else None
    drawn = users if users is not None else np.arange(len(labels)) if requests is None else requests + 1
    for asked in slices:
        for key, rows in slice_rows({name: scored.columns[name] for name in asked["features"]}, len(labels)):
            scores = {name: score[rows] for name, score in scored.scores[label.name].items()}
            yield key, Slice(labels[rows], scores, drawn[rows], None if requests is None else requests[rows], asked["metrics"])
