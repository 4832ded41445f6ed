"""A worker's part of the batches of a split: all workers together have the batches of one worker."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from din_trainer.exchange.collectives import Workers
from din_trainer.features import LABEL
from din_trainer.training.input_pipeline import Split
from din_trainer.training.packed_rows import Features, Packed
from din_trainer.training.workers.shares import places_of, share_of

PLACES = "places in the batch"  # a feature of in-memory batches: (n,) int64, where the rows of this worker stand in the batch
_FOREVER = 2**40


class SharedSplit(Split):
    """A split that several workers read, each its own records.

    If the whole split is small enough to be kept in memory, each worker keeps its own rows, and the batches of all workers together are
    those of one worker: the same rows in the same order. Otherwise each worker has a stream of its own, and takes its part of each batch
    from there. Then all have batches without rows behind their last one, without end: the epoch is over when nobody has rows.

    Args:
        workers: The workers of the training.
        others: As for `Split`.
    """

    def __init__(self, workers: Workers, files: Sequence[str], read: Callable[[tf.Tensor], Features], batch_size: int, **settings: Any):
        self._workers = workers
        self._share = share_of(workers.index, workers.count, len(files))
        self._split_files = list(files[self._share.from_split :])
        self._all_files = list(files)
        super().__init__([files[shard] for shard in self._share.shards], read, batch_size, **settings)
        self._block = max(self._block // workers.count, 1)

    def epoch(self, number: int = 0) -> tf.data.Dataset:
        """Returns this worker's parts of the batches of an epoch. In memory, a feature has the places of its rows in the batch."""
        if self._packed is not None:
            return self._parts(self._packed, number)
        index, count = self._workers.index, self._workers.count
        own = self._rebatched(self._stream(number), self._batch_size * (index + 1) // count - self._batch_size * index // count)
        no_rows = tf.data.Dataset.from_tensors(self._rows.none()).repeat(_FOREVER)
        return self._prepared(own.concatenate(no_rows))

    def own_rows(self) -> tf.data.Dataset:
        """Returns all rows of this worker in batches of its own."""
        return super().unsampled()

    def unsampled(self) -> tf.data.Dataset:
        """Returns the batches of all rows of all workers, in the order of the files. Each iteration reads the files."""
        return self._prepared(self._rebatched(self._parsed(super()._open(self._all_files)), self._batch_size))

    def _open(self, shards: Any) -> tf.data.Dataset:
        """This worker's records of its shards, one after the other."""
        if isinstance(shards, list):
            return tf.data.Dataset.from_tensor_slices(shards).flat_map(self._open)
        is_split = tf.reduce_any(tf.equal(shards, tf.constant(self._split_files, tf.string, [len(self._split_files)])))
        step, first = (tf.where(is_split, value, alone) for value, alone in ((self._workers.count, 1), (self._workers.index, 0)))
        return super()._open(shards).shard(tf.cast(step, tf.int64), tf.cast(first, tf.int64))

    def _load(self, most: int) -> Packed | None:
        counts = np.zeros(len(self._all_files) + 1, np.int64)
        packed = self._collect(self._counted(counts), most)
        *of_workers, sizes = self._workers.gather(tf.constant(counts)).numpy().T
        if sizes.sum() > most:  # or less, if a worker stopped because it alone has more than `most` bytes
            return None
        of_workers = np.stack(of_workers, axis=1)  # (workers, shards)
        self._count = int(of_workers.sum())
        self._places = places_of(self._share, of_workers)
        if self._negative_rate < 1:
            self._labels_of_all = self._gather_labels(packed)
        return packed

    def _counted(self, counts: np.ndarray) -> Iterator[Packed]:
        """Yields blocks of this worker's rows, and adds to `counts`: the number of rows of each shard, and last the bytes of all rows."""
        numbers, files = tf.constant(self._share.shards, tf.int64), tf.constant(self._files)
        records = tf.data.Dataset.from_tensor_slices((numbers, files)).flat_map(
            lambda number, file: tf.data.Dataset.zip((tf.data.Dataset.from_tensors(number).repeat(), self._open(file)))
        )
        blocks = self._parsed(records, lambda numbers, serialized: (numbers, self._rows.pack(serialized)))
        for shards, rows in blocks:
            counts += np.bincount(shards.numpy(), minlength=len(counts))
            counts[-1] += rows.size
            yield rows

    def _gather_labels(self, packed: Packed | None) -> np.ndarray:
        """The labels of all rows of all workers."""
        places, labels = self._workers.concatenate([self._places, self._rows.column(packed or self._rows.none(), LABEL)])
        result = np.empty(self._count, np.float32)
        result[places.numpy()] = labels.numpy()
        return result

    def _parts(self, packed: Packed, epoch: int) -> tf.data.Dataset:
        """This worker's rows of each batch of all rows."""
        own = np.full(self._count, -1, np.int32)
        own[self._places] = np.arange(len(self._places))
        order = self._order(self._count, lambda: self._labels_of_all, epoch)
        numbers, size = tf.constant(own[order]), self._batch_size  # the number of each row, -1 for those of other workers

        def batch(number: tf.Tensor) -> tuple[tf.Tensor, ...]:
            part = numbers[number * size : (number + 1) * size]
            places = tf.where(part >= 0)[:, 0]
            features, *judged = self._unpack(packed.take(tf.gather(part, places)))
            return ({**features, PLACES: places}, *judged)

        return self._ahead(tf.data.Dataset.range(-(-len(order) // size)).map(batch, num_parallel_calls=2))
