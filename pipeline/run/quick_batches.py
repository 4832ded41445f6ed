"""Reads the impressions of a large shard quickly, with TensorFlow's reader and parser instead of Python's and tfx-bsl's."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.base.shards import is_gzipped

_PARSED = 8192  # tf.Examples that are parsed at once
_FRAME = 16  # bytes of a TFRecord around its tf.Example: lengths and checksums


class NotAsExpected(Exception):
    """A shard is damaged, or a feature has another type than expected. The slow reader finds out what and where."""


def quick_batches(path: Path, dtypes: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    """Yields the impressions of a shard as columns of lists; a feature without a value is an empty list, or not there if all lack it.

    Args:
        path: The shard.
        dtypes: The type (`int64`, `float` or `bytes`) by name of each feature to read.

    Raises:
        NotAsExpected: The shard cannot be read as expected.
    """
    import tensorflow as tf

    kinds = {"int64": tf.int64, "float": tf.float32, "bytes": tf.string}
    spec = {name: tf.io.RaggedFeature(kinds[dtype], row_splits_dtype=tf.int64) for name, dtype in dtypes.items()}

    def parse(records: Any) -> Any:
        return tf.io.parse_example(records, spec), tf.reduce_sum(tf.strings.length(records) + _FRAME)

    records = tf.data.TFRecordDataset(str(path), compression_type="GZIP" if is_gzipped(path) else "")
    size = 0
    try:
        for batch, batch_size in records.batch(_PARSED).map(parse, num_parallel_calls=2).prefetch(2):
            size += int(batch_size)
            names = [name for name in spec if len(batch[name].values)]
            yield pa.RecordBatch.from_arrays([_lists(batch[name]) for name in names], names)
    except tf.errors.OpError as error:
        raise NotAsExpected from error
    if size % 2**32 != _content_size(path):  # TensorFlow takes the last records of a truncated gzip file for its end
        raise NotAsExpected


def _content_size(path: Path) -> int:
    """The bytes of a file, unzipped, modulo 2³²: the last four bytes of a gzip file say so."""
    if not is_gzipped(path):
        return path.stat().st_size % 2**32
    with open(path, "rb") as file:
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(), "little")


def _lists(ragged: Any) -> pa.LargeListArray:
    values: np.ndarray = ragged.values.numpy()
    return pa.LargeListArray.from_arrays(ragged.row_splits.numpy(), pa.array(values, pa.large_binary() if values.dtype == object else None))
