"""Checkpoints: a killed training continues from the step that it had reached."""

import shutil
import time
from pathlib import Path

import keras
import tensorflow as tf


def only_folder(parent: Path, fingerprint: str) -> Path:
    """Returns the folder of a training by its fingerprint, and removes those of other trainings, which cannot be continued any more."""
    folder = parent / fingerprint
    for other in parent.iterdir() if parent.exists() else ():
        if other != folder:
            shutil.rmtree(other)
    return folder


class Checkpoints:
    """The state of a training in a folder: weights, optimizer, random generators, position, and the best epoch so far.

    Each checkpoint is written completely or not at all, and stays until the next one is complete.

    Args:
        model: A compiled model with its weights made. If the folder has a checkpoint, the model is set to that state.
        folder: The folder; it is made if it does not exist.

    Attributes:
        resumed: Whether the folder had a checkpoint.
        epoch: Number of complete epochs.
        step: Number of batches done in the epoch after them.
        best_auc: The best validation AUC so far; -1 before the first epoch has ended.
        best_epoch: The epoch with that AUC, counted from 1; 0 before the first epoch has ended.
    """

    def __init__(self, model: keras.Model, folder: Path):
        self._model = model
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        model.optimizer.build(model.trainable_variables)
        self._epoch, self._step = tf.Variable(0, dtype=tf.int64), tf.Variable(0, dtype=tf.int64)
        self._best_auc, self._best_epoch = tf.Variable(-1.0, dtype=tf.float64), tf.Variable(0, dtype=tf.int64)
        position = {"epoch": self._epoch, "step": self._step, "best_auc": self._best_auc, "best_epoch": self._best_epoch}
        variables = [variable.value for variable in (*model.variables, *model.optimizer.variables)]
        state = tf.train.Checkpoint(variables=variables, **position)
        self._manager = tf.train.CheckpointManager(state, str(folder / "last"), max_to_keep=1)
        self.resumed = self._manager.restore_or_initialize() is not None

    @property
    def epoch(self) -> int:
        return int(self._epoch)

    @property
    def step(self) -> int:
        return int(self._step)

    @property
    def best_auc(self) -> float:
        return float(self._best_auc)

    @property
    def best_epoch(self) -> int:
        return int(self._best_epoch)

    def save(self, step: int) -> None:
        """Saves the state within an epoch, after `step` of its batches."""
        self._step.assign(step)
        self._manager.save()

    def end_epoch(self, auc: float) -> None:
        """Saves the state after an epoch with this validation AUC. The weights of the best epoch are kept beside it."""
        self._epoch.assign_add(1)
        self._step.assign(0)
        if auc > self.best_auc:
            self._best_auc.assign(auc)
            self._best_epoch.assign(self._epoch)
            self._save_weights(self._best_file(self.epoch))
        self._manager.save()
        for file in self._folder.glob("best-*.weights.h5"):  # only now, since no checkpoint names them any more
            if file != self._best_file(self.best_epoch):
                file.unlink()

    def restore_best(self) -> None:
        """Gives the model the weights of the best epoch."""
        self._model.load_weights(self._best_file(self.best_epoch))

    def forget(self) -> None:
        """Removes the folder, so that nothing continues from it."""
        shutil.rmtree(self._folder)

    def _best_file(self, epoch: int) -> Path:
        return self._folder / f"best-{epoch}.weights.h5"

    def _save_weights(self, file: Path) -> None:
        part = file.with_name(f"part-{file.name}")
        self._model.save_weights(part)
        part.replace(file)


class SaveOften(keras.callbacks.Callback):
    """Saves checkpoints within an epoch.

    Args:
        checkpoints: The checkpoints of the training.
        seconds: The least time between two checkpoints.
    """

    def __init__(self, checkpoints: Checkpoints, seconds: float):
        super().__init__()
        self._checkpoints = checkpoints
        self._seconds = seconds

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch_began = int(self.model.optimizer.iterations) - self._checkpoints.step
        self._saved = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if time.monotonic() - self._saved >= self._seconds:
            self._checkpoints.save(int(self.model.optimizer.iterations) - self._epoch_began)
            self._saved = time.monotonic()
