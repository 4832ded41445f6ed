"""Checkpoints: a killed training continues from the step that it had reached."""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import keras
import tensorflow as tf

from din_trainer.exchange.collectives import current
from din_trainer.models.ranking_model import RankingModel
from din_trainer.training.split_tables import OwnRows, own_variables


def only_folder(parent: Path, fingerprint: str) -> Path:
    """Returns the folder of a training by its fingerprint, and removes those of other trainings, which cannot be continued any more."""
    folder = parent / fingerprint
    for other in parent.iterdir() if parent.exists() else ():
        if other != folder:
            shutil.rmtree(other)
    return folder


class Checkpoints:
    """The state of a training in a folder: weights, optimizer, random generators, position, and the best epoch so far.

    Each checkpoint is written completely or not at all, and stays until the next one is complete. Of several workers, the first one reads
    and writes; the others get its state when they start, and its best weights at the end. Each worker writes its own rows of split tables.

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

    def __init__(self, model: RankingModel, folder: Path):
        self._folder = folder
        self._workers = current()
        self._writes = self._workers is None or self._workers.index == 0
        folder.mkdir(parents=True, exist_ok=True)
        model.optimizer.build(model.trainable_variables)
        self._epoch, self._step = tf.Variable(0, dtype=tf.int64), tf.Variable(0, dtype=tf.int64)
        self._best_auc, self._best_epoch = tf.Variable(-1.0, dtype=tf.float64), tf.Variable(0, dtype=tf.int64)
        position = {"epoch": self._epoch, "step": self._step, "best_auc": self._best_auc, "best_epoch": self._best_epoch}
        own_weights, own_moments = own_variables(model)
        is_own = {id(variable) for variable in (*own_weights, *own_moments)}
        variables = [weight.value for weight in (*model.variables, *model.optimizer.variables) if id(weight.value) not in is_own]
        self._of_model = [weight.value for weight in model.variables if id(weight.value) not in is_own]
        self._weights = tf.train.Checkpoint(variables=self._of_model)
        state = tf.train.Checkpoint(variables=variables, **position)
        self._manager = tf.train.CheckpointManager(state, str(folder / "last"), max_to_keep=1)
        self.resumed = self._writes and self._manager.restore_or_initialize() is not None
        self._send([*variables, *position.values()])
        self._rows = OwnRows(own_weights, own_moments, folder, self._workers) if self._workers and own_weights else None
        if self._rows and (self.epoch or self.step):
            self._rows.read(self._now)

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
        self._save()

    def end_epoch(self, auc: float) -> None:
        """Saves the state after an epoch with this validation AUC. The weights of the best epoch are kept beside it."""
        self._epoch.assign_add(1)
        self._step.assign(0)
        if auc > self.best_auc:
            self._best_auc.assign(auc)
            self._best_epoch.assign(self._epoch)
            if self._writes:
                self._weights.write(self._best(self.epoch))
            if self._rows:
                self._rows.write(f"best-{self.epoch}", moments=False)
        self._save()
        for file in self._folder.glob("best-*.*") if self._writes else ():  # only now, since no checkpoint names them any more
            if file.stem != Path(self._best(self.best_epoch)).name:
                file.unlink()

    def agree(self, now: bool) -> bool:
        """Whether it is time to save: as the first worker says, if each worker writes a part."""
        return bool(self._rows.workers.figures_of_first({"now": now})["now"]) if self._rows else now

    def restore_best(self) -> None:
        """Gives the model the weights of the best epoch."""
        if self._writes:
            self._weights.read(self._best(self.best_epoch)).assert_consumed()
        self._send(self._of_model)
        if self._rows:
            self._rows.read(f"best-{self.best_epoch}", moments=False)

    def forget(self) -> None:
        """Removes the folder, so that nothing continues from it."""
        if self._rows:
            self._rows.keep([])
            self._rows.workers.gather(0)  # all have removed their files: `rmtree` fails if one of them vanishes meanwhile
        if self._writes:
            shutil.rmtree(self._folder)

    def _save(self) -> None:
        if self._rows:
            self._rows.write(self._now)
        if self._writes:
            self._manager.save()
        if self._rows:
            self._rows.keep([self._now, f"best-{self.best_epoch}"])

    @property
    def _now(self) -> str:
        """The name of the rows that belong to the present state."""
        return f"{self.epoch}-{self.step}"

    def _send(self, variables: Iterable[tf.Variable]) -> None:
        """Gives all workers the values of the first one."""
        if self._workers:
            for variable in variables:
                self._workers.from_first(variable)

    def _best(self, epoch: int) -> str:
        """The files of an epoch's weights, without their endings."""
        return str(self._folder / f"best-{epoch}")


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
        if self._checkpoints.agree(time.monotonic() - self._saved >= self._seconds):
            self._checkpoints.save(int(self.model.optimizer.iterations) - self._epoch_began)
            self._saved = time.monotonic()
