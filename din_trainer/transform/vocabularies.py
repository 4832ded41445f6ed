"""Counts the values of a feature and writes its vocabulary, with the same files as `tft.vocabulary`.

TFT's own analyzer makes a Beam element of each value, about 23 for an impression. Here Arrow counts the values of a whole batch.
"""

from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform import annotators
from tensorflow_transform import beam as tft_beam

from din_trainer.training_errors import EmptyVocabulary

_PARTS = 64  # counted batches that are kept before they are added up
_ANY = b"-1"  # the only value while TFT traces the graph, before the values are known


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


class _Counts(beam.CombineFn):
    """Adds up the counts of batches."""

    def create_accumulator(self) -> list[pa.Table]:
        return []

    def add_input(self, parts: list[pa.Table], batch: tuple[np.ndarray, ...]) -> list[pa.Table]:
        parts.append(_count(batch[0]))
        return _add_up(parts) if len(parts) >= _PARTS else parts

    def merge_accumulators(self, accumulators: Any) -> list[pa.Table]:
        return _add_up([part for parts in accumulators for part in parts])

    def compact(self, parts: list[pa.Table]) -> list[pa.Table]:
        return _add_up(parts)

    def extract_output(self, parts: list[pa.Table]) -> pa.Table | None:
        parts = _add_up(parts)
        return parts[0] if parts else None


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


class _WriteVocabulary(tft_beam.experimental.PTransformAnalyzer):
    """Writes the vocabulary's file, and the file of the counts if it has a name."""

    def __init__(self, name: str, counts_name: str | None, min_count: int):
        super().__init__()
        self._name, self._counts_name, self._min_count = name, counts_name, min_count

    def expand(self, batches: Any) -> Any:
        folder, name, counts_name, min_count = self.base_temp_dir, self._name, self._counts_name, self._min_count

        def write(counts: pa.Table | None) -> Any:
            rows = in_order(counts, min_count) if counts is not None else None
            if not rows:
                raise EmptyVocabulary(
                    f"no value of {name!r} occurs {min_count} times in train/, so its vocabulary would be empty: lower its min_count, or "
                    "remove the feature."
                )
            values = rows["value"].to_pylist()
            files = {name: values}
            if counts_name:
                files[counts_name] = [b"%d %s" % (count, value) for count, value in zip(rows["count"].to_pylist(), values, strict=True)]
            tf.io.gfile.makedirs(folder)
            for file, lines in files.items():
                with tf.io.gfile.GFile(f"{folder}/{file}", "wb") as out:
                    out.write(b"".join(line + b"\n" for line in lines))
            return tuple(np.array(f"{folder}/{file}".encode()) for file in files)

        written = batches | "Count" >> beam.CombineGlobally(_Counts()) | "Write" >> beam.Map(write)
        if not counts_name:
            return written | "File" >> beam.Map(lambda files: files[0])
        return tuple(written | f"File{index}" >> beam.Map(lambda files, index=index: files[index]) for index in range(2))


def vocabulary(values: tf.Tensor, name: str, min_count: int, counts_name: str | None = None) -> tf.Tensor:
    """Computes a vocabulary over the training data, as `tft.vocabulary` does.

    Args:
        values: int64 or bytes, of any shape.
        name: The asset with one value a line, the most frequent first, for `tft.apply_vocabulary`.
        min_count: Values that occur less often are out of vocabulary.
        counts_name: An asset with `count value` in each line, in the same order; None for no such asset.

    Returns:
        The path of the file.

    Raises:
        EmptyVocabulary: When the data is analysed: no value is left.
    """
    names = [name, *([counts_name] if counts_name else [])]
    files = tft.experimental.ptransform_analyzer(
        inputs=[tf.reshape(values, [-1])],
        ptransform=_WriteVocabulary(name, counts_name, min_count),
        output_dtypes=[tf.string] * len(names),
        output_shapes=[[]] * len(names),
        output_asset_default_values=[_ANY] * len(names),
        name=f"vocabulary_{name}",
    )
    for asset in names:
        annotators.annotate_asset(asset, asset)
    return files[0]
