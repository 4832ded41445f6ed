"""Tables that are split over the workers of a training: their files in checkpoints, batches in step, and the whole model at the end."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import tensorflow as tf

from din_trainer.exchange.collectives import Workers, alone
from din_trainer.keras_pins import adam_moments
from din_trainer.layers.split_table import SplitTable
from din_trainer.models.ranking_model import RankingModel
from din_trainer.training_errors import WorkersFailed

_BLOCK = 2**20  # rows of a worker that are sent at once


def split_tables(model: RankingModel) -> list[SplitTable]:
    """The tables of a model of which this process has a part only."""
    tables = [table for name in model.din_config.features.tables for table in model.tables_of(name)]
    return [table for table in tables if isinstance(table, SplitTable)]


def own_variables(model: RankingModel) -> tuple[list[tf.Variable], list[tf.Variable]]:
    """What only this worker has of a model whose optimizer is built: its rows of the split tables with their counts, and their moments."""
    tables = split_tables(model)
    weights = [weight.value for table in tables for weight in table.weights]
    trained = [table.embeddings for table in tables if table.embeddings.trainable]
    return weights, [moment for embeddings in trained for moment in adam_moments(model.optimizer, embeddings)]


class OwnRows:
    """The part of checkpoints that each worker writes by itself.

    Args:
        weights: The weights that only this worker has.
        moments: Their moments.
        folder: The folder of the checkpoints.
        workers: The workers of the training.
    """

    def __init__(self, weights: list[tf.Variable], moments: list[tf.Variable], folder: Path, workers: Workers):
        self._checkpoints = {False: tf.train.Checkpoint(variables=weights), True: tf.train.Checkpoint(variables=[*weights, *moments])}
        self._folder, self._prefix = folder, f"rows-{workers.index}-"
        self.workers = workers

    def write(self, name: str, moments: bool = True) -> None:
        """Writes the weights, with or without their moments, under a name, and waits until all workers have written theirs."""
        self._checkpoints[moments].write(str(self._folder / (self._prefix + name)))
        self.workers.gather(0)

    def read(self, name: str, moments: bool = True) -> None:
        """Sets the weights, with or without their moments, to what was written under a name.

        Raises:
            WorkersFailed: It is not there.
        """
        try:
            self._checkpoints[moments].read(str(self._folder / (self._prefix + name))).assert_consumed()
        except tf.errors.NotFoundError as error:
            raise WorkersFailed(
                f"{self._folder} has no {self._prefix}{name}, this worker's rows of the split tables: the training cannot be continued, "
                "remove this folder on all machines."
            ) from error

    def keep(self, names: Collection[str]) -> None:
        """Removes what this worker has written under other names, once the first worker is here, too."""
        self.workers.gather(0)
        for file in self._folder.glob(f"{self._prefix}*.*"):
            if file.stem.removeprefix(self._prefix) not in names:
                file.unlink(missing_ok=True)


def in_step(batches: tf.data.Dataset, workers: Workers) -> tf.data.Dataset:
    """The same batches, and behind them batches without rows: as many as the worker with the most batches has.

    To look up rows of split tables, all workers score their batches at the same time.
    """
    own = batches.reduce(np.int64(0), lambda count, _: count + 1)
    no_rows = tf.nest.map_structure(lambda spec: tf.zeros([0, *spec.shape[1:]], spec.dtype), batches.element_spec)
    most = int(tf.reduce_max(workers.gather(own)))
    return batches.concatenate(tf.data.Dataset.from_tensors(no_rows).repeat(most)).take(most)


def whole_model(model: RankingModel, workers: Workers, wanted: bool) -> RankingModel:
    """Puts the tables together. All workers call it.

    Args:
        model: A trained model.
        workers: The workers of the training.
        wanted: Whether this worker needs the whole model.

    Returns:
        The model with whole tables and without an optimizer, if it is wanted and tables are split; else the model as it is.
    """
    parts = split_tables(model)
    if not parts:
        return model
    everyone = workers.gather(wanted).numpy()
    whole = model
    if wanted:
        with alone():
            whole = type(model).from_config(model.get_config())
            for table in (table for name in model.din_config.features.tables for table in whole.tables_of(name)):
                table.start = "zeros"  # random numbers would take three times the memory for a moment
            whole.build()
        split = {id(weight) for table in parts for weight in table.weights}
        for weight, own in zip(whole.weights, model.weights, strict=True):
            if id(own) not in split:
                weight.assign(own)
    for name in model.din_config.features.tables:
        for part, table in zip(model.tables_of(name), whole.tables_of(name), strict=True):
            if isinstance(part, SplitTable):
                for own, weight in zip(part.weights, table.weights, strict=True):
                    _put_together(part.size, own.value, weight.value, workers, everyone)
    return whole


def _put_together(size: int, own: tf.Variable, whole: tf.Variable, workers: Workers, wanted: np.ndarray) -> None:
    """Sends the rows of all workers to those that want them, block by block, since each block is copied."""
    longest = -(-size // workers.count)  # rows of the first worker
    for start in range(0, longest, _BLOCK):
        rows = tf.gather(own, tf.range(start, min(start + _BLOCK, own.shape[0])))
        received, counts = workers.to_each(tf.concat([rows for is_wanted in wanted if is_wanted], 0), np.where(wanted, len(rows), 0))
        if wanted[workers.index]:
            numbers = [workers.count * (start + np.arange(count)) + worker for worker, count in enumerate(counts.numpy())]
            whole.scatter_update(tf.IndexedSlices(received, np.concatenate(numbers)))
