"""Parses the impressions of a large shard quickly, with TensorFlow's parser instead of tfx-bsl's."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa


class NotAsExpected(Exception):
    """A record is not a tf.Example, or a feature has another type than expected. The slow parser finds out what and where."""


def quick_batches(blocks: Iterable[list[bytes]], dtypes: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    """Yields impressions as columns of lists; a feature without a value is an empty list, or not there if all of a block lack it.

    Args:
        blocks: Serialised tf.Examples.
        dtypes: The type (`int64`, `float` or `bytes`) by name of each feature to read.

    Raises:
        NotAsExpected: A block cannot be parsed as expected.
    """
    import tensorflow as tf

    kinds = {"int64": tf.int64, "float": tf.float32, "bytes": tf.string}
    spec = {name: tf.io.RaggedFeature(kinds[dtype], row_splits_dtype=tf.int64) for name, dtype in dtypes.items()}
    for records in blocks:
        try:
            batch = tf.io.parse_example(records, spec)
        except tf.errors.OpError as error:
            raise NotAsExpected from error
        names = [name for name in spec if len(batch[name].values)]
        yield pa.RecordBatch.from_arrays([_lists(batch[name]) for name in names], names)


def _lists(ragged: Any) -> pa.LargeListArray:
    values: np.ndarray = ragged.values.numpy()
    return pa.LargeListArray.from_arrays(ragged.row_splits.numpy(), pa.array(values, pa.large_binary() if values.dtype == object else None))
