"""Stops a training whose loss or weights are no longer finite numbers."""

import math

import keras
import tensorflow as tf

from din_trainer.config import TrainingConfig
from din_trainer.training_errors import TrainingDiverged

_BLOCK = 1_000_000  # rows


def diverged(reason: str, epoch: int, settings: TrainingConfig) -> TrainingDiverged:
    """The error for a training that diverged, with what to change; epochs are counted from 1."""
    rate, clip = f"training.learning_rate (now {settings.learning_rate})", settings.clip_norm
    advice = f"{rate}, or set training.clip_norm (now not set)" if clip is None else f"{rate} or training.clip_norm (now {clip})"
    return TrainingDiverged(f"Training diverged in epoch {epoch}: {reason}. Lower {advice}.")


class DivergenceCheck(keras.callbacks.Callback):
    """Raises `TrainingDiverged` when the loss or a weight is NaN or infinite.

    It reads the mean loss that Keras hands to all callbacks, once every `steps_per_execution` steps, and the weights after each epoch.
    """

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {})["loss"]
        if not math.isfinite(loss):
            raise diverged(f"the loss is {loss}", self._epoch, self.model.din_config.training)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for weight in self.model.weights:
            if weight.dtype.startswith("float") and not _is_finite(weight.value):
                raise diverged(f"the weights {weight.path} are not finite", self._epoch, self.model.din_config.training)


def _is_finite(weight: tf.Variable) -> bool:
    """Whether all numbers of a weight are finite. A table is read in blocks, since a read of the whole one would copy it."""
    if weight.shape.rank == 0:
        return bool(tf.math.is_finite(weight))
    rows = weight.shape[0]
    blocks = (tf.gather(weight, tf.range(begin, min(begin + _BLOCK, rows))) for begin in range(0, rows, _BLOCK))
    return all(tf.reduce_all(tf.math.is_finite(block)) for block in blocks)
