"""Compiling and fitting. Usable without TFX."""

import logging
import math
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import sklearn.metrics
import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.model import DIN

progress = logging.getLogger("din_trainer.progress")


class Validation(keras.callbacks.Callback):
    """Adds `val_auc` and `val_loss` of the validation split to each epoch's logs, exact to the last rank.

    Keras' AUC counts between 200 fixed thresholds, which see little where click rates are a few in a thousand.
    """

    def __init__(self, data: tf.data.Dataset):
        super().__init__()
        self._data = data
        self._labels = np.concatenate([labels for _, labels in data.as_numpy_iterator()])

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        logits = self.model.predict(self._data, verbose=0).astype(np.float64)
        logs["val_auc"] = float(sklearn.metrics.roc_auc_score(self._labels, logits))
        logs["val_loss"] = float(sklearn.metrics.log_loss(self._labels, 1 / (1 + np.exp(-logits))))


class ProgressLog(keras.callbacks.Callback):
    """Tells `progress` where training stands: about once a second within an epoch, and after each."""

    def __init__(self, batch_size: int):
        super().__init__()
        self._batch_size = batch_size

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch, self._steps = epoch + 1, 0
        self._started = self._now = self._told = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._steps += 1
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
        return f"{self._steps * self._batch_size / max(self._now - self._started, 1e-9):,.0f}"


def seed_everything(seed: int, deterministic: bool) -> None:
    """Seeds Python, NumPy and TensorFlow; `deterministic` also makes every op of this process bit-reproducible."""
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def train(
    config: DINConfig,
    vocabulary_sizes: dict[str, int],
    train_data: tf.data.Dataset,
    validation_data: tf.data.Dataset,
    log_dir: Path | None = None,
) -> DIN:
    """Trains a DIN; the weights of the epoch with the best validation AUC are kept.

    Args:
        config: Features, sizes and training settings. Call `seed_everything` first.
        vocabulary_sizes: Embedding rows by vocabulary name.
        train_data: Batches of (features, label); see `make_dataset`.
        validation_data: The same, of the split that training selects on.
        log_dir: Where TensorBoard's logs go, if anywhere.
    """
    settings = config.training
    model = DIN(config, vocabulary_sizes)
    model.build()
    model.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
        jit_compile=False,  # XLA is several times slower than the plain graph on CPU
    )
    callbacks: list[Any] = [
        Validation(validation_data),  # before those that read its figures
        keras.callbacks.EarlyStopping("val_auc", mode="max", patience=settings.patience, restore_best_weights=True),
        ProgressLog(settings.batch_size),
    ]
    if log_dir is not None:
        callbacks.append(keras.callbacks.TensorBoard(str(log_dir), write_graph=False))
    model.fit(train_data, epochs=settings.epochs, callbacks=callbacks, verbose=0)
    return model
