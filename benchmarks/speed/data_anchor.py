"""The data path as one would write it by hand for one data set: tf.data, NumPy and pyarrow, without TFX. Each part reads train/ once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

_PARSED = 8192  # tf.Examples that are parsed at once
_BATCH = 256
_LENGTH = 10  # events of a history
_SCALARS = ("user_id", "candidate_item_id", "candidate_category_id", "label")
_HISTORIES = ("historical_item_ids", "historical_category_ids")
_VOCABULARIES = {
    "user_id": ("user_id",),
    "item": ("candidate_item_id", "historical_item_ids"),
    "category": ("candidate_category_id", "historical_category_ids"),
}
_SPEC = {name: tf.io.FixedLenFeature([], tf.int64) for name in _SCALARS} | {
    name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for name in _HISTORIES
}


def copy(files: list[Path], folder: Path) -> None:
    """Copies the files."""
    for file in files:
        shutil.copyfile(file, folder / file.name)


def _parsed(files: list[Path]) -> Iterator[dict[str, tf.Tensor]]:
    records = tf.data.TFRecordDataset([str(file) for file in files], compression_type="GZIP")
    yield from records.batch(_PARSED).map(lambda x: tf.io.parse_example(x, _SPEC), num_parallel_calls=2)


def _values(batch: dict[str, tf.Tensor], name: str) -> np.ndarray:
    x = batch[name]
    return x.values.numpy() if name in _HISTORIES else x.numpy()


def statistics(files: list[Path]) -> dict[str, np.ndarray]:
    """Of each feature: count, zeros, sum, sum of squares, least and greatest value, and the counts of its values."""
    sums = {name: np.zeros(6) for name in _SPEC}
    counts: dict[str, list[pa.Array]] = {name: [] for name in _SPEC}
    for batch in _parsed(files):
        for name in _SPEC:
            x = _values(batch, name)
            floats = x.astype(np.float64)
            sums[name] += [len(x), (x == 0).sum(), floats.sum(), (floats**2).sum(), 0, 0]
            sums[name][4:] = min(sums[name][4], x.min(initial=0)), max(sums[name][5], x.max(initial=0))
            counts[name].append(pa.array(x).value_counts())
    for name, parts in counts.items():
        _add_up(parts)
        assert len(sums[name]) == 6
    return sums


def _add_up(parts: list[pa.Array]) -> tuple[np.ndarray, np.ndarray]:
    """The sorted values, and how often each occurs."""
    values, counts = (np.concatenate([part.field(side).to_numpy() for part in parts]) for side in ("values", "counts"))
    distinct, place = np.unique(values, return_inverse=True)
    return distinct, np.bincount(place, counts).astype(np.int64)


def analysis(files: list[Path], folder: Path) -> None:
    """Counts the values of each vocabulary, and writes its file: the most frequent value first."""
    parts: dict[str, list[pa.Array]] = {name: [] for name in _VOCABULARIES}
    for batch in _parsed(files):
        for name, columns in _VOCABULARIES.items():
            parts[name].append(pa.array(np.concatenate([_values(batch, column) for column in columns])).value_counts())
    for name, counted in parts.items():
        values, counts = _add_up(counted)
        order = np.lexsort((values.astype("S20"), counts))[::-1]
        (folder / name).write_text("".join(f"{value}\n" for value in values[order].tolist()))


def training_input(files: list[Path], folder: Path) -> int:
    """Makes batches of ids with padded histories, in random order within a buffer. Returns the number of impressions."""
    tables = {name: _table(folder / name) for name in _VOCABULARIES}
    vocabulary = {column: name for name, columns in _VOCABULARIES.items() for column in columns}

    def look_up(parsed: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        ids = {name: x if name == "label" else tables[vocabulary[name]].lookup(x) + 1 for name, x in parsed.items() if name in _SCALARS}
        for name in _HISTORIES:
            recent = parsed[name][:, -_LENGTH:]
            ids[name] = recent.with_values(tables[vocabulary[name]].lookup(recent.values) + 1).to_tensor(0, shape=[None, _LENGTH])
        return ids

    records = tf.data.TFRecordDataset([str(file) for file in files], compression_type="GZIP").shuffle(200_000, seed=0)
    batches = records.batch(_PARSED).map(lambda x: look_up(tf.io.parse_example(x, _SPEC)), num_parallel_calls=2).rebatch(_BATCH).prefetch(8)
    options = tf.data.Options()
    options.autotune.enabled = False
    return int(batches.with_options(options).reduce(np.int64(0), lambda total, batch: total + tf.size(batch["label"], tf.int64)))


def _table(file: Path) -> tf.lookup.StaticHashTable:
    whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    lines = file.read_bytes().count(b"\n")
    return tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(str(file), tf.int64, whole, tf.int64, number), lines)
