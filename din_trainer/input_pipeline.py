"""Transformed examples as batches for Keras."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from din_trainer.features import LABEL

_SHUFFLE_BUFFER = 200_000  # impressions; ExampleGen has shuffled the files already
_BLOCK = 4096  # records parsed at a time while a split is taken into memory

Features = dict[str, tf.Tensor]


def _in_an_order_of_its_own(features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The rows sorted by their values: the same order whatever order ExampleGen wrote them in."""
    as_bytes = [np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8) for _, values in sorted(features.items())]
    rows = np.ascontiguousarray(np.concatenate(as_bytes, axis=1))
    order = np.argsort(rows.view(np.dtype((np.void, rows.shape[1]))).ravel(), kind="stable")
    return {name: values[order] for name, values in features.items()}


def _from_memory(blocks: tf.data.Dataset, batch_size: int, shuffle_seed: int | None) -> tf.data.Dataset:
    """Batches that follow from the set of examples and the seed alone."""
    parsed = list(blocks.as_numpy_iterator())
    features = _in_an_order_of_its_own({name: np.concatenate([block[name] for block in parsed]) for name in parsed[0]})
    tensors = {name: tf.constant(values) for name, values in features.items()}
    count = len(next(iter(features.values())))
    rows = tf.data.Dataset.range(count)
    if shuffle_seed is not None:
        rows = rows.shuffle(count, seed=shuffle_seed)
    return rows.batch(batch_size).map(lambda batch: {name: tf.gather(values, batch) for name, values in tensors.items()})


def make_dataset(
    files: Sequence[str],
    feature_spec: dict[str, tf.io.FixedLenFeature],
    batch_size: int,
    *,
    shuffle_seed: int | None = None,
    deterministic: bool = False,
) -> tf.data.Dataset:
    """Batches of (features, label) from gzipped TFRecords of transformed examples.

    Args:
        files: The split's files.
        feature_spec: Of the transformed examples, label included.
        batch_size: Impressions a batch; the last one may be smaller.
        shuffle_seed: Shuffles anew each epoch; None keeps the order.
        deterministic: The batches follow from the set of examples and the seed alone; takes the split into memory.
    """
    records = tf.data.TFRecordDataset(files, compression_type="GZIP")

    def parse(serialized: tf.Tensor) -> Features:
        return tf.io.parse_example(serialized, feature_spec)

    def split_label(features: Features) -> tuple[Features, tf.Tensor]:
        return {name: values for name, values in features.items() if name != LABEL}, features[LABEL]

    if deterministic:
        batches = _from_memory(records.batch(_BLOCK).map(parse), batch_size, shuffle_seed)
    else:
        if shuffle_seed is not None:
            records = records.shuffle(_SHUFFLE_BUFFER, seed=shuffle_seed)
        batches = records.batch(batch_size).map(parse, num_parallel_calls=tf.data.AUTOTUNE)
    return batches.map(split_label).prefetch(tf.data.AUTOTUNE)
