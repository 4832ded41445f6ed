"""Checks the impressions of one file, batch by batch: type, number and values of each feature, and what must hold between features."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.base.errors import DataError
from din_trainer.features import HISTORICAL_TIMESTAMPS, LABEL, TIMESTAMP, Column, FeatureConfig
from din_trainer.raw_inputs import Input, data_inputs
from pipeline.run.checks.checked_batch import CheckedBatch
from pipeline.run.checks.cut_values import count_cut
from pipeline.run.checks.list_checks import check_alignment, check_count, check_vectors
from pipeline.run.checks.value_checks import check_values


class BatchChecker:
    """Checks the batches of one file, in order. Its messages name the file and the impression.

    Attributes:
        with_values: The declared features of which some impression has a value.
        labels: The further labels that occur, by label.
        cut: How many values are cut or guessed, as `count_cut` returns it.
    """

    def __init__(self, file: Path, features: FeatureConfig):
        self.with_values: set[str] = set()
        self.labels: dict[str, set[int]] = {name: set() for name in features.labels[1:]}
        self.cut: Counter[str] = Counter()
        self._file, self._features = file, features
        self._judged = {LABEL, features.weight, *features.labels[1:]}  # whose values have sentences of their own
        self._inputs = data_inputs(features)
        declared = {read.column.name for read in self._inputs}
        if TIMESTAMP not in declared:
            self._inputs.append(Input(Column(TIMESTAMP, "int64", "context", "optional"), "time"))
        times = Input(Column(HISTORICAL_TIMESTAMPS, "int64", "behaviour", "sequence"), "time", next(iter(features.sequences)))
        self._undeclared = [] if HISTORICAL_TIMESTAMPS in declared else [times]
        self._lengths = [column for column in features.columns if column.name in {read.lengths for read in self._inputs}]
        self._first = 0  # the index, in the file, of the first impression of the batch

    def check(self, batch: pa.RecordBatch) -> None:
        """Checks the next batch.

        Raises:
            DataError: The first problem that is found.
        """
        found = CheckedBatch(batch, self._file, self._first)
        inputs = [*self._inputs, *(read for read in self._undeclared if read.column.name in found.names)]
        for read in inputs:
            self._check_column(found, read)
        for column in self._lengths:
            self._check_type(found, column)
        self._check_labels(found)
        self._check_weights(found)
        check_alignment(found, inputs)
        for read in inputs:
            check_vectors(found, read)
        self._check_times(found, [read.column.name for read in inputs if read.use == "time" and read.sequence])
        self.cut += count_cut(found, self._features)
        self._first += batch.num_rows

    def _check_column(self, batch: CheckedBatch, read: Input) -> None:
        if self._check_type(batch, read.column):
            check_count(batch, read)
            if read.column.name not in self._judged and check_values(batch, read):
                self.with_values.add(read.column.name)

    def _check_type(self, batch: CheckedBatch, column: Column) -> bool:
        """Checks the type of a feature. Returns whether any impression has it."""
        if column.name not in batch.names:
            if column.presence == "required":
                raise DataError(
                    f"{self._file} has no feature {column.name!r} ({column.dtype}): add it to the data, or change [features] in the config."
                )
            return False
        found = batch.dtype(column.name)
        if found != column.dtype:
            raise DataError(f"{self._file}: feature {column.name!r} is {found}, but {column.dtype} is declared: change one of the two.")
        return True

    def _check_labels(self, batch: CheckedBatch) -> None:
        labels = batch.numbers(LABEL)
        batch.refuse((labels != 0) & (labels != 1), "the label must be 0 or 1.")
        for name, seen in self.labels.items():
            further = batch.numbers(name)
            batch.refuse((further != 0) & (further != 1), f"the label {name!r} must be 0 or 1.")
            seen.update(np.unique(further).tolist())

    def _check_weights(self, batch: CheckedBatch) -> None:
        if self._features.weight:
            weights = batch.numbers(self._features.weight)
            batch.refuse(~(np.isfinite(weights) & (weights >= 0)), f"the weight {self._features.weight!r} must be a number, 0 or more.")

    def _check_times(self, batch: CheckedBatch, histories: list[str]) -> None:
        if TIMESTAMP not in batch.names:
            return
        now = np.full(batch.size, np.iinfo(np.int64).max)
        now[batch.rows(TIMESTAMP)] = batch.numbers(TIMESTAMP)
        for name in histories:
            rows, bad = batch.rows(name), np.zeros(batch.size, bool)
            bad[rows[batch.numbers(name) > now[rows]]] = True
            batch.refuse(
                bad, "its history holds an event after the impression, which leaks the future: make histories from earlier clicks only."
            )
