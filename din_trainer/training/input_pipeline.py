"""Reads transformed examples and makes the batches of each epoch for Keras."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from din_trainer.features import LABEL, SAMPLE_WEIGHT

_SHUFFLE_BUFFER = 200_000  # impressions; ExampleGen has shuffled the files already
_BLOCK = 4096  # records parsed at once, if batches are cut after a filter
_AHEAD = 8  # batches that are made in advance

Features = dict[str, tf.Tensor]


def _sorted_by_values(features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Sorts the rows by their values, so that the order in which ExampleGen wrote them does not matter."""
    as_bytes = [np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8) for _, values in sorted(features.items())]
    rows = np.ascontiguousarray(np.concatenate(as_bytes, axis=1))
    order = np.argsort(rows.view(np.dtype((np.void, rows.shape[1]))).ravel(), kind="stable")
    return {name: values[order] for name, values in features.items()}


def _split_label(features: Features) -> tuple[tf.Tensor, ...]:
    """Returns (features, label), or (features, label, weight) if the examples have weights."""
    inputs = {name: values for name, values in features.items() if name not in (LABEL, SAMPLE_WEIGHT)}
    return (inputs, features[LABEL], features[SAMPLE_WEIGHT]) if SAMPLE_WEIGHT in features else (inputs, features[LABEL])


class Split:
    """A split of transformed examples in gzipped TFRecords.

    Args:
        files: The files of the split.
        feature_spec: How the transformed examples are parsed, with the label.
        batch_size: Impressions in a batch; the last batch may be smaller.
        shuffle_seed: Each epoch has another order, which follows from this seed; None keeps the order of the files.
        negative_rate: Share of the negatives that are kept; each epoch draws others.
        deterministic: The batches depend only on the set of examples and the seed, not on their order in the files. The whole split is read
            into memory.
    """

    def __init__(
        self,
        files: Sequence[str],
        feature_spec: dict[str, tf.io.FixedLenFeature],
        batch_size: int,
        *,
        shuffle_seed: int | None = None,
        negative_rate: float = 1.0,
        deterministic: bool = False,
    ):
        self._files = list(files)
        self._spec = feature_spec
        self._batch_size = batch_size
        self._seed = shuffle_seed
        self._negative_rate = negative_rate
        self._tensors = self._load() if deterministic else None

    def epoch(self, number: int = 0) -> tf.data.Dataset:
        """Returns the batches (features, label[, weight]) of an epoch. The same number always gives the same batches."""
        batches = self._stream(number) if self._tensors is None else self._from_memory(number)
        options = tf.data.Options()
        options.autotune.enabled = False  # its thread takes half a second to end after each epoch
        return batches.map(_split_label, num_parallel_calls=2).prefetch(_AHEAD).with_options(options)

    def _parse(self, serialized: tf.Tensor) -> Features:
        return tf.io.parse_example(serialized, self._spec)

    def _load(self) -> Features:
        blocks = tf.data.TFRecordDataset(self._files, compression_type="GZIP").batch(_BLOCK).map(self._parse)
        parsed = list(blocks.as_numpy_iterator())
        features = _sorted_by_values({name: np.concatenate([block[name] for block in parsed]) for name in parsed[0]})
        return {name: tf.constant(values) for name, values in features.items()}

    def _stream(self, epoch: int) -> tf.data.Dataset:
        records = tf.data.TFRecordDataset(self._files, compression_type="GZIP")
        if self._seed is not None:
            records = records.shuffle(_SHUFFLE_BUFFER, seed=self._seed + epoch)
        if self._negative_rate == 1:
            return records.batch(self._batch_size).map(self._parse, num_parallel_calls=2)
        blocks = records.batch(_BLOCK).map(self._parse, num_parallel_calls=2).enumerate()
        return blocks.map(lambda block, features: self._keep(features, epoch, block)).rebatch(self._batch_size)

    def _from_memory(self, epoch: int) -> tf.data.Dataset:
        tensors = self._tensors
        assert tensors is not None
        count = len(tensors[LABEL])
        rows = tf.data.Dataset.range(count)
        if self._seed is not None:
            rows = rows.shuffle(count, seed=self._seed + epoch)
        if self._negative_rate < 1:
            kept = self._is_kept(tensors[LABEL], epoch, 0)
            rows = rows.filter(lambda row: kept[row])
        return rows.batch(self._batch_size).map(lambda batch: {name: tf.gather(values, batch) for name, values in tensors.items()})

    def _is_kept(self, labels: tf.Tensor, epoch: int, block: tf.Tensor | int) -> tf.Tensor:
        """Whether each example is kept: positives, and a random share of the negatives. (N,) bool."""
        seed = tf.stack([tf.cast((self._seed or 0) + epoch, tf.int64), tf.cast(block, tf.int64)])
        return (labels == 1) | (tf.random.stateless_uniform(tf.shape(labels), seed) < self._negative_rate)

    def _keep(self, features: Features, epoch: int, block: tf.Tensor) -> Features:
        kept = self._is_kept(features[LABEL], epoch, block)
        return {name: tf.boolean_mask(values, kept) for name, values in features.items()}
