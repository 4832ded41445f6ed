"""Compiling and fitting. Usable without TFX."""

import logging
import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import sklearn.metrics
import tensorflow as tf

from din_trainer.checkpoints import Checkpoints, SaveOften
from din_trainer.config import TrainingConfig
from din_trainer.frame import RankingModel
from din_trainer.optimizers import LazyAdam

progress = logging.getLogger("din_trainer.progress")

_STEPS_A_CALL = 32  # of TensorFlow, so that Python is out of the loop
_CHECKPOINT_SECONDS = 60.0


class Trained(NamedTuple):
    """A trained model, with the weights of its best epoch, and the figures of the epochs that this process ran."""

    model: RankingModel
    epochs: list[dict[str, float]]


def logits_of(model: RankingModel, batches: tf.data.Dataset) -> tf.data.Dataset:
    """The logits of each batch, in order, by the weights of the moment. A core a batch: faster than all cores on one after the other."""
    return batches.map(lambda features, *_: model.infer(features), num_parallel_calls=os.cpu_count() or 1)


class Validation(keras.callbacks.Callback):
    """Adds `val_auc` and `val_loss` of the validation split to each epoch's logs, exact to the last rank, weighted if its batches are.

    Keras' AUC counts between 200 fixed thresholds, which see little where click rates are a few in a thousand.
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
        logs["val_auc"] = float(sklearn.metrics.roc_auc_score(self._labels, logits, sample_weight=self._weights))
        logs["val_loss"] = float(sklearn.metrics.log_loss(self._labels, 1 / (1 + np.exp(-logits)), sample_weight=self._weights))


class ProgressLog(keras.callbacks.Callback):
    """Tells `progress` where training stands: about once a second within an epoch, and after each."""

    def __init__(self, batch_size: int):
        super().__init__()
        self._batch_size = batch_size

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch, self._first = epoch + 1, int(self.model.optimizer.iterations)
        self._started = self._now = self._told = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._now = time.monotonic()
        if self._now - self._told >= 1.0:
            self._told = self._now
            auc = (logs or {}).get("auc", math.nan)
            progress.info("epoch %d, %s impressions/s, AUC %.4f", self._epoch, self._rate(), auc)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        auc, validation_auc = logs.get("auc", math.nan), logs.get("val_auc", math.nan)
        progress.info("%s impressions/s, epoch %d: AUC %.4f, validation AUC %.4f", self._rate(), self._epoch, auc, validation_auc)

    def _rate(self) -> str:
        """Impressions a second of this epoch's steps, validation not counted."""
        steps = int(self.model.optimizer.iterations) - self._first
        return f"{steps * self._batch_size / max(self._now - self._started, 1e-9):,.0f}"


def seed_everything(seed: int, deterministic: bool) -> None:
    """Seeds Python, NumPy and TensorFlow; `deterministic` also makes every op of this process bit-reproducible."""
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def make_optimizer(settings: TrainingConfig) -> keras.optimizers.Optimizer:
    """The optimizer, with schedule and clipping."""
    rate, schedule = settings.learning_rate, settings.schedule
    schedules = keras.optimizers.schedules
    learning_rate: Any = rate
    if schedule.kind == "exponential":
        learning_rate = schedules.ExponentialDecay(rate, schedule.steps, schedule.rate)
    elif schedule.kind == "cosine":
        warm = {"initial_learning_rate": 0.0, "warmup_target": rate} if schedule.warmup_steps else {"initial_learning_rate": rate}
        learning_rate = schedules.CosineDecay(decay_steps=schedule.steps, warmup_steps=schedule.warmup_steps, **warm)
    kind = LazyAdam if settings.optimizer == "lazy_adam" else keras.optimizers.Adam
    return kind(learning_rate, global_clipnorm=settings.clip_norm)


def compile_model(model: RankingModel) -> None:
    """Makes a model ready for `fit` with the settings of its own configuration."""
    model.compile(
        optimizer=make_optimizer(model.din_config.training),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
        jit_compile=False,  # XLA is several times slower than the plain graph on CPU
        steps_per_execution=_STEPS_A_CALL,
    )


def train(
    model: RankingModel,
    train_epoch: Callable[[int], tf.data.Dataset],
    validation_data: tf.data.Dataset,
    log_dir: Path | None = None,
    checkpoint_dir: Path | None = None,
    checkpoint_seconds: float = _CHECKPOINT_SECONDS,
) -> Trained:
    """Trains a model; the weights of the epoch with the best validation AUC are kept.

    Args:
        model: With its weights made; call `seed_everything` before.
        train_epoch: The batches (features, label[, weight]) of an epoch by its number from 0, the same each time: `Split.epoch`.
        validation_data: The same, of the split that training selects on.
        log_dir: Where TensorBoard's logs go, if anywhere.
        checkpoint_dir: Where the state of the training is kept, for the next call to go on from if this one is cut off. Removed at the end.
        checkpoint_seconds: Between two checkpoints within an epoch.
    """
    if checkpoint_dir is None:
        with tempfile.TemporaryDirectory(prefix="din-training-") as folder:
            return train(model, train_epoch, validation_data, log_dir, Path(folder) / "checkpoints", math.inf)
    settings = model.din_config.training
    compile_model(model)
    checkpoints = Checkpoints(model, checkpoint_dir)
    if checkpoints.resumed:
        progress.info("goes on after epoch %d, step %d", checkpoints.epoch, checkpoints.step)
    callbacks: list[Any] = [
        Validation(model, validation_data),  # before those that read its figures
        SaveOften(checkpoints, checkpoint_seconds),
        ProgressLog(settings.batch_size),
    ]
    if log_dir is not None:
        callbacks.append(keras.callbacks.TensorBoard(str(log_dir), write_graph=False))
    epochs = []
    while checkpoints.epoch < settings.epochs and checkpoints.epoch - checkpoints.best_epoch < max(settings.patience, 1):
        epoch = checkpoints.epoch
        batches = train_epoch(epoch).skip(checkpoints.step)
        history = model.fit(batches, initial_epoch=epoch, epochs=epoch + 1, callbacks=callbacks, verbose=0).history
        epochs.append({name: values[-1] for name, values in history.items()})
        checkpoints.end_epoch(epochs[-1]["val_auc"])
    checkpoints.restore_best()
    checkpoints.forget()
    return Trained(model, epochs)
