"""A trial of a search: a training with other settings, of which only the validation AUC is kept."""

import gc
import hashlib
import json
import time
from typing import NamedTuple

import keras
import tensorflow_transform as tft

from din_trainer.config import DINConfig
from din_trainer.training.fit import fit
from din_trainer.training_errors import TrainingDiverged


class Trial(NamedTuple):
    """What a trial trains.

    Attributes:
        config: The configuration with the setting of the trial, as JSON.
        transform_output: The folder of the Transform graph.
        train_files: As for `fit`.
        validation_files: As for `fit`.
    """

    config: str
    transform_output: str
    train_files: list[str]
    validation_files: list[str]

    @property
    def fingerprint(self) -> str:
        """A name for the trial, which changes with everything that it trains."""
        return hashlib.sha256(json.dumps(self).encode()).hexdigest()[:16]


class Outcome(NamedTuple):
    """How a trial ended.

    Attributes:
        auc: The validation AUC of its best epoch; None if it failed.
        epoch: That epoch, counted from 1; 0 if the trial failed.
        seconds: How long it took.
        failed: Why it failed, as one sentence; empty if it did not.
    """

    auc: float | None
    epoch: int
    seconds: float
    failed: str = ""


def run_trial(trial: Trial) -> Outcome:
    """Trains as a Trainer does, in this process. No checkpoint is kept: a trial that is killed starts again.

    Raises:
        ValueError: As `fit`.
    """
    started = time.monotonic()
    config, transform_output = DINConfig.model_validate_json(trial.config), tft.TFTransformOutput(trial.transform_output)
    try:
        epochs = fit(config, transform_output, trial.train_files, trial.validation_files).epochs
    except TrainingDiverged as error:
        return Outcome(None, 0, round(time.monotonic() - started, 3), str(error))
    finally:
        keras.backend.clear_session()  # the models of all trials would not fit into memory
        gc.collect()
    aucs = [epoch["val_auc"] for epoch in epochs]
    return Outcome(max(aucs), aucs.index(max(aucs)) + 1, round(time.monotonic() - started, 3))
