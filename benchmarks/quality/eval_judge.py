"""The eval split as a judge of models, without TensorFlow."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import sklearn.metrics

from components.base.tfrecord import read_batches
from components.evaluation.metrics.gauc import gauc
from din_trainer.features import LABEL, USER_ID
from pipeline.datasets.layout import split_files


class Metrics(NamedTuple):
    """A model on eval/; GAUC is None where there are no users to rank for."""

    auc: float
    gauc: float | None
    log_loss: float


class Trial(NamedTuple):
    """A trained model, by what it says of eval/.

    Attributes:
        logits: (N,) by the weights of the best epoch, in the order of the impressions.
        validation_aucs: Of each epoch.
        seconds: That the training took.
    """

    logits: np.ndarray
    validation_aucs: list[float]
    seconds: float


class EvalSplit(NamedTuple):
    """Who was shown something and whether they clicked, in the order of the impressions.

    Attributes:
        label: (N,) 0 or 1.
        user: (N,) ids of any kind; None where users are not told apart.
    """

    label: np.ndarray
    user: np.ndarray | None

    def judge(self, logits: np.ndarray) -> Metrics:
        """The metrics of a model with these logits (N,)."""
        return Metrics(
            auc=float(sklearn.metrics.roc_auc_score(self.label, logits)),
            gauc=None if self.user is None else gauc(self.user, logits, self.label),
            log_loss=float(sklearn.metrics.log_loss(self.label, 1 / (1 + np.exp(-logits)))),
        )


def read_eval(data: Path, with_users: bool = True) -> EvalSplit:
    """Reads labels and users of a data set's eval/."""
    return EvalSplit(_column(data, LABEL), _column(data, USER_ID) if with_users else None)


def _column(data: Path, name: str) -> np.ndarray:
    """A feature with one value an impression."""
    batches = (batch for file in split_files(data, "eval") for batch in read_batches(file))
    return np.concatenate([batch.column(name).flatten().to_numpy(zero_copy_only=False) for batch in batches])
