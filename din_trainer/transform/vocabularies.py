"""Counts the values of a feature and writes its vocabulary, with the same files as `tft.vocabulary`.

TFT's own analyzer makes a Beam element of each value, about 23 for an impression. Here Arrow counts the values of a whole batch. The counts
of each data set can be cached, so that a window of days counts only its new days. A warm start adds values that its start model knows.
"""

from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tensorflow_transform import analyzer_nodes
from tensorflow_transform import beam as tft_beam

from din_trainer.training_errors import EmptyVocabulary
from din_trainer.transform.cached_analyzer import Stages, analyse_to_files
from din_trainer.transform.start_values import StartValues, ages_name, with_remembered

_PARTS = 64  # counted batches that are kept before they are added up


def _count(values: np.ndarray) -> pa.Table:
    """Counts the values of a batch: columns `value` (text as in the vocabulary's file) and `count`."""
    array = pa.array(values.ravel(), pa.large_binary() if values.dtype == object else None)
    counted = array.value_counts()
    texts = counted.field("values").cast(pa.large_string()).cast(pa.large_binary()) if values.dtype != object else counted.field("values")
    return pa.table({"value": texts, "count": counted.field("counts")})


def _add_up(parts: list[pa.Table]) -> list[pa.Table]:
    """Joins counted batches to one table; at most one remains."""
    if len(parts) < 2:
        return parts
    total = pa.concat_tables(parts).group_by("value").aggregate([("count", "sum")])
    return [total.select(["value", "count_sum"]).rename_columns(["value", "count"])]


class _MakeCounts(beam.CombineFn):
    """Counts the values of batches: at most one table is put out, in a list."""

    def create_accumulator(self) -> list[pa.Table]:
        return []

    def add_input(self, parts: list[pa.Table], batch: Any) -> list[pa.Table]:
        parts.append(_count(batch[0]))
        return _add_up(parts) if len(parts) >= _PARTS else parts

    def merge_accumulators(self, accumulators: Any) -> list[pa.Table]:
        return _add_up([part for parts in accumulators for part in parts])

    def compact(self, parts: list[pa.Table]) -> list[pa.Table]:
        return _add_up(parts)

    def extract_output(self, parts: list[pa.Table]) -> list[pa.Table]:
        return _add_up(parts)


class _MergeCounts(_MakeCounts):
    """Adds up counts that `_MakeCounts` or itself put out."""

    def add_input(self, parts: list[pa.Table], batch: Any) -> list[pa.Table]:
        return _add_up([*parts, *batch])


class _CountsCoder(analyzer_nodes.CacheCoder):
    """Counts as an Arrow stream; no bytes for no counts."""

    def encode_cache(self, cache: list[pa.Table]) -> bytes:
        if not cache:
            return b""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, cache[0].schema) as stream:
            stream.write_table(cache[0])
        return sink.getvalue().to_pybytes()

    def decode_cache(self, encoded_cache: bytes) -> list[pa.Table]:
        return [pa.ipc.open_stream(encoded_cache).read_all()] if encoded_cache else []


def in_order(counts: pa.Table, min_count: int) -> pa.Table:
    """The values of a vocabulary, as `tft.vocabulary` selects and sorts them.

    Args:
        counts: `value` (bytes) and `count`, one row for each value.
        min_count: Values that occur less often are left out.

    Returns:
        The rows by falling count, then by falling bytes of the value. Values that cannot be a line of the file are left out.
    """
    kept = counts.filter(pc.greater_equal(counts["count"], min_count))
    # "" would be an empty line, and a line break would end the line
    is_line = pc.invert(pc.match_substring_regex(kept["value"], "^$|[\\n\\r]"))
    return kept.filter(is_line).sort_by([("count", "descending"), ("value", "descending")])


class _WriteFiles(tft_beam.experimental.PTransformAnalyzer):
    """Writes the vocabulary's file, and the files of the counts and of the ages if they are asked for."""

    def __init__(self, name: str, counts_name: str | None, min_count: int, start: StartValues | None):
        super().__init__()
        self.files = [name, *([counts_name] if counts_name else []), *([ages_name(name)] if start else [])]
        self._name, self._counts_name, self._min_count, self._start = name, counts_name, min_count, start

    def expand(self, counts: Any) -> Any:
        folder, names = self.base_temp_dir, self.files
        name, counts_name, min_count, start = self._name, self._counts_name, self._min_count, self._start

        def write(counted: list[pa.Table]) -> list[Any]:
            rows = _rows(counted, name, min_count, start)
            values = rows["value"].to_pylist()
            contents = {name: values}
            if counts_name:
                contents[counts_name] = _numbered(rows["count"], values)
            if start:
                contents[ages_name(name)] = _numbered(rows["age"], values)
            tf.io.gfile.makedirs(folder)
            for file, lines in contents.items():
                with tf.io.gfile.GFile(f"{folder}/{file}", "wb") as out:
                    out.write(b"".join(line + b"\n" for line in lines))
            return [np.array(f"{folder}/{file}".encode()) for file in names]

        written = counts | "Write" >> beam.Map(write)
        return tuple(written | f"File{index}" >> beam.Map(lambda files, index=index: files[index]) for index in range(len(names)))


def _rows(counted: list[pa.Table], name: str, min_count: int, start: StartValues | None) -> pa.Table:
    """The rows of a vocabulary, in order."""
    counts = counted[0] if counted else pa.table({"value": pa.array([], pa.large_binary()), "count": pa.array([], pa.int64())})
    least = min_count
    if start:
        counts, least = with_remembered(counts, start.remembered(name), min_count), 0
    rows = in_order(counts, least)
    if not rows:
        raise EmptyVocabulary(
            f"no value of {name!r} occurs {min_count} times in train/, so its vocabulary would be empty: lower its min_count, or "
            "remove the feature."
        )
    return rows


def _numbered(numbers: pa.ChunkedArray, values: list[bytes]) -> list[bytes]:
    return [b"%d %s" % (number, value) for number, value in zip(numbers.to_pylist(), values, strict=True)]


def vocabulary(values: tf.Tensor, name: str, min_count: int, counts_name: str | None = None, start: StartValues | None = None) -> tf.Tensor:
    """Computes a vocabulary over the training data, as `tft.vocabulary` does.

    Args:
        values: int64 or bytes, of any shape.
        name: The asset with one value a line, the most frequent first, for `tft.apply_vocabulary`.
        min_count: Values that occur less often are out of vocabulary.
        counts_name: An asset with `count value` in each line, in the same order; None for no such asset.
        start: Of a warm start: its values belong to the vocabulary as well, in the order of their counts in the training data, which can
            be 0. There is a further asset, `ages_name(name)`.

    Returns:
        The path of the file.

    Raises:
        EmptyVocabulary: When the data is analysed: no value is left.
    """
    write = _WriteFiles(name, counts_name, min_count, start)
    stages = Stages(_MakeCounts(), _MergeCounts(), write, _CountsCoder())
    analyzer = f"vocabulary_{name}_{values.dtype.name}"  # TensorFlow has one look-up table of a name in a process, of one type
    return analyse_to_files(tf.reshape(values, [-1]), stages, write.files, analyzer)[0]
