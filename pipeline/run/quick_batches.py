"""Reads the impressions of a large shard quickly, with TensorFlow's reader and parser instead of Python's and tfx-bsl's."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.base.shards import is_gzipped

_PARSED = 8192  # tf.Examples that are parsed at once


class NotAsExpected(Exception):
    """A shard is damaged, or a feature has another type than expected. The slow reader finds out what and where."""


def quick_batches(path: Path, dtypes: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    """Yields the impressions of a shard as columns of lists; a feature without a value becomes an empty list.

    Args:
        path: The shard.
        dtypes: The type (`int64`, `float` or `bytes`) by name of each feature to read.

    Raises:
        NotAsExpected: The shard cannot be read as expected.
    """
    import tensorflow as tf

    kinds = {"int64": tf.int64, "float": tf.float32, "bytes": tf.string}
    spec = {name: tf.io.RaggedFeature(kinds[dtype], row_splits_dtype=tf.int64) for name, dtype in dtypes.items()}
    records = tf.data.TFRecordDataset(str(path), compression_type="GZIP" if is_gzipped(path) else "")
    parsed = records.batch(_PARSED).map(lambda batch: tf.io.parse_example(batch, spec), num_parallel_calls=2).prefetch(2)
    try:
        for batch in parsed:
            yield pa.RecordBatch.from_arrays([_lists(batch[name]) for name in spec], list(spec))
    except tf.errors.OpError as error:
        raise NotAsExpected from error


def _lists(ragged: Any) -> pa.LargeListArray:
    values: np.ndarray = ragged.values.numpy()
    return pa.LargeListArray.from_arrays(ragged.row_splits.numpy(), pa.array(values, pa.large_binary() if values.dtype == object else None))
