"""AUC of each label, and log loss, of the validation split after each epoch."""

import math
import os

import keras
import numpy as np
import sklearn.metrics
import tensorflow as tf

from din_trainer.devices import cards
from din_trainer.exchange.collectives import current
from din_trainer.models.ranking_model import RankingModel
from din_trainer.training.divergence import diverged
from din_trainer.training.progress_log import progress
from din_trainer.training.split_tables import in_step, split_tables


def logits_of(model: RankingModel, batches: tf.data.Dataset) -> np.ndarray:
    """The logits of all rows, in order: (N,) or (N, labels) float32.

    Each core scores a batch: faster than all cores on one batch. A card scores one batch after the other; `Dataset.map` would compute on
    cores even then. If tables are split, all workers score their batches one by one, each at the same time as the others.
    """
    workers, at_once = current(), os.cpu_count()
    if workers and split_tables(model):
        batches, at_once = in_step(batches, workers), None
    if cards():
        logits = [model.infer(features).numpy() for features, *_ in batches]
    else:
        logits = list(batches.map(lambda features, *_: model.infer(features), num_parallel_calls=at_once).as_numpy_iterator())
    no_rows = np.zeros((0, len(model.labels)) if len(model.labels) > 1 else 0, np.float32)  # a worker may have none
    return np.concatenate([no_rows, *logits])


def _columns(batches: tf.data.Dataset) -> list[np.ndarray]:
    """The columns of all batches, (N, …) each. Of several workers, those of all, in the order of the workers."""
    rows = list(batches.as_numpy_iterator())
    columns = [np.zeros((0, *spec.shape[1:]), spec.dtype.as_numpy_dtype) for spec in batches.element_spec]  # a worker may have no rows
    columns = [np.concatenate(column) for column in zip(columns, *rows, strict=True)]
    workers = current()
    return [column.numpy() for column in workers.concatenate(columns)] if workers else columns


class Validation(keras.callbacks.Callback):
    """Adds `val_auc` and `val_loss` of the validation split to the logs of each epoch. Both are exact, and weighted if the batches are.

    Of several labels, `val_auc` is that of the first, `val_auc_LABEL` that of each other one that has both values in the split, and
    `val_loss` the sum of their log losses, weighted as in training. Keras' AUC uses 200 fixed thresholds, which is too coarse where click
    rates are a few in a thousand.

    Raises:
        TrainingDiverged: At the end of an epoch, a figure is NaN or infinite.
    """

    def __init__(self, model: RankingModel, data: tf.data.Dataset):
        super().__init__()
        self._model, self._data = model, data
        labels, *weights = _columns(data.map(lambda features, *judged: judged))  # (label,) or (label, weight)
        self._weights = weights[0] if weights else None
        self._labels = labels.reshape(len(labels), -1)  # (N, labels)
        self._label_weights = model.label_weights
        self._aucs = {0: "val_auc"}
        for number, name in enumerate(model.labels[1:], 1):
            if len(np.unique(self._labels[:, number])) == 2:
                self._aucs[number] = f"val_auc_{name}"
            else:
                progress.warning("the label %s is the same in all of validation/, so it has no validation AUC", name)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        logits, workers = logits_of(self._model, self._data), current()
        if workers:
            logits = workers.concatenate([logits])[0].numpy()
        names = [*self._aucs.values(), "val_loss"]
        figures = dict.fromkeys(names, math.nan)  # scikit-learn refuses scores that are not finite
        if np.isfinite(logits).all() and (workers is None or workers.index == 0):
            figures = self._figures(logits.reshape(len(logits), -1).astype(np.float64))
        if workers:
            figures = workers.figures_of_first(figures)
        if not all(map(math.isfinite, figures.values())):
            reason = f"the validation AUC is {figures['val_auc']} and the validation loss {figures['val_loss']}"
            raise diverged(reason, epoch + 1, self.model.din_config.training)
        logs |= figures

    def _figures(self, logits: np.ndarray) -> dict[str, float]:
        """The AUC of each label, and the loss, from logits (N, labels)."""
        judged = {"sample_weight": self._weights}
        aucs = {
            name: float(sklearn.metrics.roc_auc_score(self._labels[:, number], logits[:, number], **judged))
            for number, name in self._aucs.items()
        }
        losses = [
            float(sklearn.metrics.log_loss(labels, 1 / (1 + np.exp(-scores)), labels=[0, 1], **judged))
            for labels, scores in zip(self._labels.T, logits.T, strict=True)
        ]
        return {**aucs, "val_loss": sum(weight * loss for weight, loss in zip(self._label_weights, losses, strict=True))}
