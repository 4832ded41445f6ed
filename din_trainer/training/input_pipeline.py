"""Makes the batches of each epoch from the shards of a split: from memory if the split fits there, otherwise block by block."""

import copy
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from din_trainer.features import LABEL, SAMPLE_WEIGHT
from din_trainer.training.packed_rows import Features, Packed, PackedRows
from din_trainer.training.progress_log import progress

_PARSED = 8192  # tf.Examples that are parsed at once
_LONG_PARSED = 256  # those with long histories
_INTERLEAVED = 128  # shards that are read at the same time, if a split does not fit into memory; each takes about 0.5 MB
_AHEAD = 8  # batches that are made in advance
_TOGETHER = 8192  # rows that are taken from memory together, in whole batches: small batches one by one take a tenth longer in training


class Split:
    """A split in shards: gzipped TFRecords of tf.Examples.

    A split that takes at most `memory_mb` is read once and kept as int32 matrices; each epoch then has an exact permutation of its own.
    A larger split is read anew in each epoch: in another order of the shards, several at a time, and the rows are shuffled within blocks
    that take a quarter of `memory_mb`. All orders follow from the seed and the number of the epoch.

    Args:
        files: The shards.
        read: As in `PackedRows`; the features must have the labels.
        batch_size: Impressions in a batch; the last batch may be smaller.
        shuffle_seed: The seed of the orders; None keeps the order of the files.
        labels: The labels of `FeatureConfig`: the first is in the column `label`, others have columns of their own.
        negative_rate: Share of the negatives, by the first label, that are kept; each epoch draws others.
        memory_mb: The most that the split may take in memory, in units of 10⁶ bytes.
    """

    def __init__(
        self,
        files: Sequence[str],
        read: Callable[[tf.Tensor], Features],
        batch_size: int,
        *,
        shuffle_seed: int | None = None,
        labels: Sequence[str] = (LABEL,),
        negative_rate: float = 1.0,
        memory_mb: float = 4096,
    ):
        self._files = list(files)
        self._rows = PackedRows(read)
        self._batch_size = batch_size
        self._seed = shuffle_seed
        self._labels = [LABEL, *labels[1:]]
        self._negative_rate = negative_rate
        self._at_once = _LONG_PARSED if self._rows.has_events else _PARSED
        most = int(memory_mb * 1e6)
        self._block = max(most // (4 * self._rows.width) // 4, self._at_once)
        self._packed = self._load(most)
        if self._packed is None:
            split = Path(self._files[0]).parent.name.removeprefix("Split-")
            progress.warning("%s/ takes more than training.memory_mb (%g MB): each epoch reads it anew, block by block", split, memory_mb)

    @property
    def in_memory(self) -> bool:
        """Whether the split is kept in memory."""
        return self._packed is not None

    def epoch(self, number: int = 0) -> tf.data.Dataset:
        """Returns the batches (features, label[, weight]) of an epoch; several labels are (B, labels).

        The same number always gives the same batches.
        """
        if self._packed is None:
            return self._prepared(self._rebatched(self._stream(number), self._batch_size))
        return self._from_memory(self._packed, number)

    def own_rows(self) -> tf.data.Dataset:
        """Returns the batches of all rows that this process trains on, in the order of the files."""
        return self.unsampled()

    def unsampled(self) -> tf.data.Dataset:
        """Returns the batches of all rows, in the order of the files."""
        whole = copy.copy(self)
        whole._seed, whole._negative_rate = None, 1.0
        return Split.epoch(whole)

    def _prepared(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        return self._ahead(batches.map(self._unpack, num_parallel_calls=2))

    def _ahead(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        options = tf.data.Options()
        options.autotune.enabled = False  # its thread takes half a second to end after each epoch
        return batches.prefetch(_AHEAD).with_options(options)

    def _unpack(self, rows: Packed) -> tuple[Features | tf.Tensor, ...]:
        """Returns (features, label), or (features, label, weight) if the rows have weights. Several labels are (B, labels)."""
        features = self._rows.unpack(rows)
        labels = [features.pop(name) for name in self._labels]
        label = labels[0] if len(labels) == 1 else tf.stack(labels, axis=1)
        return (features, label, features.pop(SAMPLE_WEIGHT)) if SAMPLE_WEIGHT in features else (features, label)

    def _parsed(self, records: tf.data.Dataset, pack: Callable[..., Any] | None = None) -> tf.data.Dataset:
        return records.batch(self._at_once).map(pack or self._rows.pack, num_parallel_calls=2)

    def _rebatched(self, blocks: tf.data.Dataset, size: int) -> tf.data.Dataset:
        """Cuts and joins blocks of rows to others of `size` rows."""
        if not self._rows.has_events:
            return blocks.rebatch(size)
        by_row = blocks.map(lambda rows: (rows.fixed, rows.ragged())).rebatch(size)
        return by_row.map(lambda fixed, events: Packed(fixed, events.values, events.row_lengths()))

    def _load(self, most: int) -> Packed | None:
        """Returns all rows, None if they take more than `most` bytes."""
        return self._collect(iter(self._parsed(self._open(self._files))), most)

    def _open(self, shards: Any) -> tf.data.Dataset:
        """The records of some shards, one after the other."""
        return tf.data.TFRecordDataset(shards, compression_type="GZIP")

    def _collect(self, read: Iterable[Packed], most: int) -> Packed | None:
        """Joins blocks of rows; None if they take more than `most` bytes."""
        blocks: list[Packed] = []
        size = 0
        for block in read:
            size += block.size
            if size > most:
                return None
            blocks.append(block)
        if not blocks:
            return self._rows.none()
        columns = [list(parts) for parts in zip(*blocks, strict=True)]
        blocks.clear()
        return Packed(*map(_joined, columns))

    def _from_memory(self, packed: Packed, epoch: int) -> tf.data.Dataset:
        order = self._order(len(packed), lambda: self._rows.column(packed, LABEL).numpy(), epoch)
        at_once = 1 if self._rows.has_events else max(_TOGETHER // self._batch_size, 1)  # batches
        numbers, size = tf.constant(order), self._batch_size * at_once
        rows = tf.data.Dataset.range(-(-len(order) // size)).map(
            lambda block: self._unpack(packed.take(numbers[block * size : (block + 1) * size])), num_parallel_calls=2
        )
        if not self._rows.has_events:
            batches = -(-len(order) // self._batch_size)
            rows = rows.rebatch(self._batch_size).apply(tf.data.experimental.assert_cardinality(batches))
        return self._ahead(rows)

    def _order(self, count: int, labels: Callable[[], np.ndarray], epoch: int) -> np.ndarray:
        """The numbers of an epoch's rows, in its order. `labels` gives those of all `count` rows."""
        rng = np.random.default_rng([self._seed or 0, epoch])
        rows = np.arange(count)
        if self._negative_rate < 1:
            rows = rows[(labels() == 1) | (rng.random(count) < self._negative_rate)]
        return rows if self._seed is None else rng.permutation(rows)

    def _stream(self, epoch: int) -> tf.data.Dataset:
        """Blocks of rows."""
        if self._seed is None:
            blocks = self._parsed(self._open(self._files))
        else:
            shards = np.random.default_rng([self._seed, epoch]).permutation(self._files)
            records = tf.data.Dataset.from_tensor_slices(shards.astype(str).tolist()).interleave(
                self._open, cycle_length=_INTERLEAVED, block_length=8
            )
            blocks = self._rebatched(self._parsed(records), self._block)
        return blocks.enumerate().map(lambda number, rows: self._drawn(rows, epoch, number))

    def _drawn(self, rows: Packed, epoch: int, block: tf.Tensor) -> Packed:
        """Takes the negatives that are not kept out of a block, and shuffles it."""
        seed = tf.stack([tf.cast((self._seed or 0) + (epoch << 32), tf.int64), block])
        numbers = tf.range(tf.shape(rows.fixed)[0])
        if self._negative_rate < 1:
            kept = tf.random.stateless_uniform(tf.shape(numbers), seed) < self._negative_rate
            numbers = tf.boolean_mask(numbers, (self._rows.column(rows, LABEL) == 1) | kept)
        return rows.take(numbers if self._seed is None else tf.random.experimental.stateless_shuffle(numbers, seed))


def _joined(parts: list[Any]) -> Any:
    """Tensors one after the other; None stays None. Each is freed once it is copied, so that the peak stays near the size of the whole."""
    if parts[0] is None:
        return None
    whole = np.empty((sum(len(part) for part in parts), *parts[0].shape[1:]), parts[0].dtype.as_numpy_dtype)
    end = len(whole)
    while parts:
        part = parts.pop()
        whole[end - len(part) : end] = part
        end -= len(part)
    return tf.constant(whole)
