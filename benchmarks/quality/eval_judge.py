"""Judges models on the eval split, without TensorFlow."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import sklearn.metrics

from components.base.tfrecord import read_batches
from components.evaluation.metrics.gauc import gauc
from din_trainer.features import LABEL, USER_ID
from pipeline.datasets.layout import split_files


class Metrics(NamedTuple):
    """The metrics of a model on eval/. GAUC is None if the data has no user ids."""

    auc: float
    gauc: float | None
    log_loss: float


class Trial(NamedTuple):
    """The result of a training.

    Attributes:
        logits: (N,) the logits on eval/ with the weights of the best epoch, in the order of the impressions.
        validation_aucs: The validation AUC of each epoch.
        seconds: The duration of the training.
    """

    logits: np.ndarray
    validation_aucs: list[float]
    seconds: float


class EvalSplit(NamedTuple):
    """The labels and the users of eval/, in the order of the impressions.

    Attributes:
        label: (N,) 0 or 1.
        user: (N,) ids of any type; None if the data has no user ids.
    """

    label: np.ndarray
    user: np.ndarray | None

    def judge(self, logits: np.ndarray) -> Metrics:
        """Returns the metrics of a model with these logits (N,)."""
        return Metrics(
            auc=float(sklearn.metrics.roc_auc_score(self.label, logits)),
            gauc=None if self.user is None else gauc(self.user, logits, self.label),
            log_loss=float(sklearn.metrics.log_loss(self.label, 1 / (1 + np.exp(-logits)))),
        )


def read_eval(data: Path, with_users: bool = True) -> EvalSplit:
    """Reads the labels and the users of the eval split of a data set."""
    return EvalSplit(_column(data, LABEL), _column(data, USER_ID) if with_users else None)


def _column(data: Path, name: str) -> np.ndarray:
    """Returns a feature that has one value for each impression."""
    batches = (batch for file in split_files(data, "eval") for batch in read_batches(file))
    return np.concatenate([batch.column(name).flatten().to_numpy(zero_copy_only=False) for batch in batches])
