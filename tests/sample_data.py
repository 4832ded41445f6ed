"""Makes small data sets from columns of Python values."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.base.tfrecord_writer import TFRecordWriter
from pipeline.datasets.layout import SPLITS, DatasetWriter, list_column


def make_column(values: list) -> pa.Array:
    """Makes a column of Python values: a list in each row for histories, None for a missing value, else one value in each row."""
    lists = [value if isinstance(value, list) else [] if value is None else [value] for value in values]
    flat = [value for row in lists for value in row]
    kind = type(flat[0]) if flat else int
    column = np.array(flat, dtype=object if kind is bytes else np.float32 if kind is float else np.int64)  # as tf.Examples hold them
    return list_column(column, np.cumsum([0] + [len(row) for row in lists]))


def make_impressions(**changes) -> dict[str, list]:
    """Returns the columns of four correct impressions, with changes; `None` as a change removes a column."""
    columns = {
        "user_id": [0, 0, 1, 2],
        "candidate_item_id": [5, 3, 0, 9],
        "candidate_category_id": [1, 0, 0, 2],
        "historical_item_ids": [[3], [], [9, 0, 3], [5, 5]],
        "historical_category_ids": [[0], [], [2, 0, 0], [1, 1]],
        "historical_timestamps": [[10], [], [1, 2, 30], [4, 5]],
        "timestamp": [20, 20, 40, 50],
        "label": [0, 1, 1, 0],
    } | changes
    return {name: values for name, values in columns.items() if values is not None}


def write_records(path: Path, *batches: pa.RecordBatch, threads: int = 2) -> Path:
    """Writes a gzipped TFRecord file with the rows of some batches."""
    with ThreadPoolExecutor(threads) as pool:
        writer = TFRecordWriter(path, pool)
        for batch in batches:
            writer.write(batch)
        writer.close()
    return path


def write_dataset(out: Path, splits: dict[str, dict[str, list]] | None = None) -> Path:
    """Writes a data set of correct impressions, or of the columns in `splits` for the splits named there."""
    with DatasetWriter(out) as writer:
        for split in SPLITS:
            columns = (splits or {}).get(split, make_impressions())
            writer.write(split, pa.RecordBatch.from_pydict({name: make_column(values) for name, values in columns.items()}))
    return out
