"""AUC and log loss of the validation split after each epoch."""

import math
import os

import keras
import numpy as np
import sklearn.metrics
import tensorflow as tf

from din_trainer.models.ranking_model import RankingModel
from din_trainer.training.divergence import diverged


def logits_of(model: RankingModel, batches: tf.data.Dataset) -> tf.data.Dataset:
    """The logits of each batch, in order, by the model's present weights. Each core scores a batch: faster than all cores on one batch."""
    return batches.map(lambda features, *_: model.infer(features), num_parallel_calls=os.cpu_count() or 1)


class Validation(keras.callbacks.Callback):
    """Adds `val_auc` and `val_loss` of the validation split to the logs of each epoch. Both are exact, and weighted if the batches are.

    Keras' AUC uses 200 fixed thresholds, which is too coarse where click rates are a few in a thousand.

    Raises:
        TrainingDiverged: At the end of an epoch, a figure is NaN or infinite.
    """

    def __init__(self, model: RankingModel, data: tf.data.Dataset):
        super().__init__()
        self._logits = logits_of(model, data)
        batches = list(data.map(lambda features, *judged: judged).as_numpy_iterator())  # (label,) or (label, weight)
        self._labels, *weights = (np.concatenate(column) for column in zip(*batches, strict=True))
        self._weights = weights[0] if weights else None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        logits = np.concatenate(list(self._logits.as_numpy_iterator())).astype(np.float64)
        auc = loss = math.nan  # scikit-learn refuses scores that are not finite
        if np.isfinite(logits).all():
            auc = float(sklearn.metrics.roc_auc_score(self._labels, logits, sample_weight=self._weights))
            loss = float(sklearn.metrics.log_loss(self._labels, 1 / (1 + np.exp(-logits)), sample_weight=self._weights))
        if not math.isfinite(auc + loss):
            raise diverged(f"the validation AUC is {auc} and the validation loss {loss}", epoch + 1, self.model.din_config.training)
        logs["val_auc"], logs["val_loss"] = auc, loss
