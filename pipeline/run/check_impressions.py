"""Checks a data set before TensorFlow is imported: it reads every impression once, which takes seconds.

The data gate in the DAG checks the same data again, against its schema. A schema cannot express what is found here: labels of one class
only, histories that are not aligned, events from the future.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.errors import DataError
from components.base.tfrecord import read_batches
from din_trainer.features import HISTORICAL_TIMESTAMPS, LABEL, TIMESTAMP, Column, FeatureConfig
from pipeline.datasets.layout import SPLITS, split_files
from pipeline.run.check_environment import check_is_no_pattern


class DataFacts(NamedTuple):
    """What the checks found in a data set.

    Attributes:
        examples: Number of impressions by split.
        columns: Type (`int64`, `float` or `bytes`) by name of a column of the data.
    """

    examples: dict[str, int]
    columns: dict[str, str]


def _arrow_dtype(column_type: pa.DataType) -> str | None:
    """Returns `int64`, `float` or `bytes`; None for a column without any value."""
    value = column_type.value_type if pa.types.is_list(column_type) or pa.types.is_large_list(column_type) else None
    if value is None:
        return None
    return "int64" if pa.types.is_integer(value) else "float" if pa.types.is_floating(value) else "bytes"


class _Checker:
    """Checks the batches of one file, in order. Its messages name the file and the impression."""

    def __init__(self, file: Path, features: FeatureConfig):
        self._file = file
        self._features = features
        self._columns = [
            *features.columns,
            Column(LABEL, "int64", "context", "required"),
            Column(TIMESTAMP, "int64", "context", "optional"),
            Column(HISTORICAL_TIMESTAMPS, "int64", "behaviour", "sequence"),
            *([Column(features.weight, "float", "context", "required")] if features.weight else []),
        ]
        self._first = 0  # the index, in the file, of the first impression of the batch
        self._lengths: dict[str, np.ndarray] = {}

    def check(self, batch: pa.RecordBatch) -> None:
        self._lengths = {name: pc.fill_null(pc.list_value_length(batch.column(name)), 0).to_numpy() for name in _list_columns(batch)}
        for column in self._columns:
            self._check_column(batch, column)
        self._check_labels(batch)
        self._check_weights(batch)
        self._check_alignment(batch)
        self._check_time(batch)
        self._first += batch.num_rows

    def _refuse(self, bad: np.ndarray, message: str) -> None:
        """Raises a DataError that names the first row at which `bad` (rows,) is true."""
        if bad.any():
            raise DataError(f"{self._file}, impression {self._first + int(np.argmax(bad)) + 1}: {message}")

    def _check_column(self, batch: pa.RecordBatch, column: Column) -> None:
        if column.name not in self._lengths:
            if column.presence == "required":
                raise DataError(
                    f"{self._file} has no feature {column.name!r} ({column.dtype}): add it to the data, or change [features] in the config."
                )
            return
        found = _arrow_dtype(batch.schema.field(column.name).type)
        if found != column.dtype:
            raise DataError(f"{self._file}: feature {column.name!r} is {found}, but {column.dtype} is declared: change one of the two.")
        if column.presence == "required":
            self._refuse(self._lengths[column.name] != 1, f"feature {column.name!r} must have exactly one value.")
        if column.presence == "optional":
            self._refuse(self._lengths[column.name] > 1, f"feature {column.name!r} must have at most one value.")
        numeric = column.name in self._features.side and self._features.side[column.name].kind == "numeric"
        if column.dtype == "int64" and column.name not in (LABEL, TIMESTAMP, HISTORICAL_TIMESTAMPS) and not numeric:
            rows, values = self._flat(batch, column.name)
            bad = np.zeros(batch.num_rows, bool)
            bad[rows[values < 0]] = True
            self._refuse(bad, f"feature {column.name!r} holds a negative id: ids must be 0 or more.")

    def _flat(self, batch: pa.RecordBatch, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns the row of each value of a column, and the values."""
        return np.repeat(np.arange(batch.num_rows), self._lengths[name]), batch.column(name).flatten().to_numpy(zero_copy_only=False)

    def _check_labels(self, batch: pa.RecordBatch) -> None:
        labels = batch.column(LABEL).flatten().to_numpy()
        self._refuse((labels != 0) & (labels != 1), "the label must be 0 or 1.")

    def _check_weights(self, batch: pa.RecordBatch) -> None:
        if self._features.weight:
            weights = batch.column(self._features.weight).flatten().to_numpy()
            self._refuse(~(np.isfinite(weights) & (weights >= 0)), f"the weight {self._features.weight!r} must be a number, 0 or more.")

    def _check_alignment(self, batch: pa.RecordBatch) -> None:
        zeros = np.zeros(batch.num_rows, int)
        sequences = [[behaviour.history for behaviour in sequence.values()] for sequence in self._features.sequences.values()]
        if self._features.time_gap or HISTORICAL_TIMESTAMPS in self._lengths:
            sequences[0].append(HISTORICAL_TIMESTAMPS)
        for first, *others in sequences:
            for name in others:
                bad = self._lengths.get(name, zeros) != self._lengths.get(first, zeros)
                self._refuse(bad, f"{name!r} and {first!r} differ in length: the histories of a sequence must be aligned event by event.")

    def _check_time(self, batch: pa.RecordBatch) -> None:
        if not {TIMESTAMP, HISTORICAL_TIMESTAMPS} <= set(self._lengths):
            return
        now = np.full(batch.num_rows, np.iinfo(np.int64).max)
        rows, times = self._flat(batch, TIMESTAMP)
        now[rows] = times
        rows, times = self._flat(batch, HISTORICAL_TIMESTAMPS)
        bad = np.zeros(batch.num_rows, bool)
        bad[rows[times > now[rows]]] = True
        self._refuse(
            bad, "its history holds an event after the impression, which leaks the future: make histories from earlier clicks only."
        )


def _list_columns(batch: pa.RecordBatch) -> Iterator[str]:
    return (field.name for field in batch.schema if _arrow_dtype(field.type) is not None)


def check_data(data: Path, features: FeatureConfig) -> DataFacts:
    """Checks a whole data set.

    Raises:
        DataError: The first problem that is found: file, impression, what is wrong, what to do.
        InputError: The path of the data set has a wildcard in it.
    """
    check_is_no_pattern(data.absolute(), "--data")
    examples: dict[str, int] = {}
    columns: dict[str, str] = {}
    for split in SPLITS:
        labels: set[int] = set()
        weighted: set[int] = set()  # labels of the impressions whose weight is above 0
        examples[split] = 0
        for file in split_files(data, split):
            checker = _Checker(file, features)
            for batch in read_batches(file):
                checker.check(batch)
                examples[split] += batch.num_rows
                values = batch.column(LABEL).flatten().to_numpy()
                labels |= set(np.unique(values).tolist())
                if features.weight:
                    weighted |= set(np.unique(values[batch.column(features.weight).flatten().to_numpy() > 0]).tolist())
                columns |= {name: str(_arrow_dtype(batch.schema.field(name).type)) for name in _list_columns(batch)}
        if examples[split] == 0:
            raise DataError(f"{data / split} holds no impressions: every split needs some.")
        if len(labels) < 2:
            raise DataError(f"{data / split}: every label is {labels.pop()}, so nothing can be learnt or judged: both classes are needed.")
        if features.weight and split != "eval" and len(weighted) < 2:
            raise DataError(
                f"{data / split}: {features.weight!r} is 0 for a whole class of labels, so nothing can be learnt: weigh both classes."
            )
    for column in features.columns:
        if column.name not in columns:
            raise DataError(
                f"{data}: no impression has a value of feature {column.name!r}: add it to the data, or remove it from [features]."
            )
    return DataFacts(examples, columns)
