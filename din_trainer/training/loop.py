"""Trains a model: epochs, validation, early stopping, checkpoints. It works without TFX."""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from din_trainer.config import TrainingConfig
from din_trainer.exchange.collectives import current
from din_trainer.models.ranking_model import RankingModel
from din_trainer.training.checkpoints import Checkpoints, SaveOften
from din_trainer.training.compile_model import compile_model
from din_trainer.training.divergence import DivergenceCheck
from din_trainer.training.progress_log import ProgressLog, progress
from din_trainer.training.validation import Validation
from din_trainer.training.workers.end_of_epoch import EndOfEpoch
from din_trainer.training.workers.shared_step import SharedStep
from din_trainer.training_errors import TrainingDiverged

_CHECKPOINT_SECONDS = 60.0


class Trained(NamedTuple):
    """A trained model, with the weights of its best epoch, and the figures of the epochs that this process ran."""

    model: RankingModel
    epochs: list[dict[str, float]]
    warm_start: dict[str, Any] | None = None  # the report of `WarmStart`


def seed_everything(seed: int, deterministic: bool) -> None:
    """Seeds Python, NumPy and TensorFlow; `deterministic` also makes every op of this process bit-reproducible."""
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def train(
    model: RankingModel,
    train_epoch: Callable[[int], tf.data.Dataset],
    validation_data: tf.data.Dataset,
    log_dir: Path | None = None,
    checkpoint_dir: Path | None = None,
    checkpoint_seconds: float = _CHECKPOINT_SECONDS,
    take_moments: Callable[[keras.optimizers.Optimizer], None] = lambda optimizer: None,
) -> Trained:
    """Trains a model; the weights of the epoch with the best validation AUC are kept.

    Args:
        model: A model with its weights made. Call `seed_everything` before it is made.
        train_epoch: Returns the batches (features, label[, weight]) of an epoch by its number from 0, the same each time: `Split.epoch`.
        validation_data: Batches of the same form, of the split that selects the best epoch. Each of several workers has its own rows.
        log_dir: Where TensorBoard's logs go, if anywhere.
        checkpoint_dir: Where the state of the training is kept. If this call is killed, the next one continues from it. Removed at the end.
        checkpoint_seconds: Time between two checkpoints within an epoch.
        take_moments: Sets the state of the optimizer of a warm start.

    Raises:
        TrainingDiverged: The loss, a weight or a validation figure is NaN or infinite. Its checkpoints are removed.
    """
    if checkpoint_dir is None:
        with tempfile.TemporaryDirectory(prefix="din-training-") as folder:
            return train(model, train_epoch, validation_data, log_dir, Path(folder) / "checkpoints", math.inf, take_moments)
    settings, workers = model.din_config.training, current()
    compile_model(model)
    model.optimizer.build(model.trainable_variables)
    take_moments(model.optimizer)
    checkpoints = Checkpoints(model, checkpoint_dir)
    if checkpoints.resumed:
        progress.info("continues after epoch %d, step %d", checkpoints.epoch, checkpoints.step)
    callbacks: list[Any] = [
        DivergenceCheck(),  # before anything is saved
        Validation(model, validation_data),  # before those that read its figures
        SaveOften(checkpoints, checkpoint_seconds),
        ProgressLog(settings.batch_size),
    ]
    if workers:
        model.train_step = SharedStep(model, workers)
        callbacks.insert(0, EndOfEpoch())  # takes out of the logs what only it reads
    if log_dir is not None and (workers is None or workers.index == 0):
        callbacks.append(keras.callbacks.TensorBoard(str(log_dir), write_graph=False))
    epochs = []
    try:
        while _continues(checkpoints, settings):
            epoch = checkpoints.epoch
            batches = train_epoch(epoch).skip(checkpoints.step)
            # Keras' own `fit`: Transform has made these batches, so they are not checked again.
            history = keras.Model.fit(model, batches, initial_epoch=epoch, epochs=epoch + 1, callbacks=callbacks, verbose=0).history
            epochs.append({name: values[-1] for name, values in history.items()})
            checkpoints.end_epoch(epochs[-1]["val_auc"])
    except TrainingDiverged:
        checkpoints.forget()
        raise
    checkpoints.restore_best()
    checkpoints.forget()
    return Trained(model, epochs)


def _continues(checkpoints: Checkpoints, settings: TrainingConfig) -> bool:
    """Whether another epoch is trained."""
    waited = checkpoints.epoch - checkpoints.best_epoch  # epochs without a better AUC
    return checkpoints.epoch < settings.epochs and (settings.patience == 0 or waited < settings.patience)
