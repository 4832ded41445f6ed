"""Checks a data set before TensorFlow is imported: it reads every impression once, which takes seconds.

The data gate in the DAG checks the same data again, against its schema. A schema cannot express what is found here: labels of one class
only, histories that are not aligned, events from the future.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from components.base.errors import DataError
from components.base.tfrecord import read_batches, unread_files
from din_trainer.features import LABEL, FeatureConfig
from pipeline.datasets.layout import SPLITS, split_files
from pipeline.run.batch_checker import BatchChecker, list_columns, value_type
from pipeline.run.check_environment import check_path_for_tfx


class FileState(NamedTuple):
    """Size in bytes and time of the last change of a file: they show that it is not the file any more that was checked."""

    size: int
    changed: int


class DataFacts(NamedTuple):
    """What the checks found in a data set.

    Attributes:
        examples: Number of impressions by split.
        columns: Type (`int64`, `float` or `bytes`) by name of a column of the data.
        files: The files that were read.
    """

    examples: dict[str, int]
    columns: dict[str, str]
    files: dict[Path, FileState]


class _SplitFacts:
    """What the files of one split hold, summed up."""

    def __init__(self) -> None:
        self.examples = 0
        self.labels: set[int] = set()
        self.weighted: set[int] = set()  # labels of the impressions whose weight is above 0
        self.columns: dict[str, str] = {}
        self.with_values: set[str] = set()

    def read(self, file: Path, features: FeatureConfig) -> None:
        checker = BatchChecker(file, features)
        for batch in read_batches(file):
            checker.check(batch)
            self.examples += batch.num_rows
            values = batch.column(LABEL).flatten().to_numpy()
            self.labels |= set(np.unique(values).tolist())
            if features.weight:
                self.weighted |= set(np.unique(values[batch.column(features.weight).flatten().to_numpy() > 0]).tolist())
            self.columns |= {name: str(value_type(batch.schema.field(name).type)) for name in list_columns(batch)}
        self.with_values |= checker.with_values

    def check(self, data: Path, split: str, features: FeatureConfig) -> None:
        if self.examples == 0:
            raise DataError(f"{data / split} holds no impressions: every split needs some.")
        if len(self.labels) < 2:
            raise DataError(
                f"{data / split}: every label is {self.labels.pop()}, so nothing can be learnt or judged: both classes are needed."
            )
        if features.weight and split != "eval" and len(self.weighted) < 2:
            raise DataError(
                f"{data / split}: {features.weight!r} is 0 for a whole class of labels, so nothing can be learnt: weigh both classes."
            )
        for column in features.columns if split == "train" else []:
            if column.name not in self.with_values:
                raise DataError(
                    f"{data / split}: no impression has a value of feature {column.name!r}: add it to the data, "
                    "or remove it from [features]."
                )


def _check_names(data: Path, split: str, read: list[Path]) -> None:
    """Checks that no TFRecords of a split would be passed over because of their names."""
    for file in unread_files(data / split, read):
        raise DataError(
            f"{file} would not be read, because its name or place is another than {split}/*.tfrecord.gz: rename, move or remove it."
        )


def check_data(data: Path, features: FeatureConfig) -> DataFacts:
    """Checks a whole data set.

    Raises:
        DataError: The first problem that is found: file, impression, what is wrong, what to do.
        InputError: The path of the data set has a wildcard in it.
    """
    check_path_for_tfx(data.absolute(), "--data")
    examples: dict[str, int] = {}
    columns: dict[str, str] = {}
    states: dict[Path, FileState] = {}
    for split in SPLITS:
        files = split_files(data, split)
        _check_names(data, split, files)
        found = _SplitFacts()
        for file in files:
            state = _state(file)
            found.read(file, features)
            states[file] = state
        found.check(data, split, features)
        examples[split] = found.examples
        columns |= found.columns
    return DataFacts(examples, columns, states)


def _state(file: Path) -> FileState:
    try:
        status = file.stat()
    except OSError:
        return FileState(-1, 0)
    return FileState(status.st_size, status.st_mtime_ns)


def check_unchanged(facts: DataFacts) -> None:
    """Checks that the files of a data set are still those that were checked.

    Raises:
        DataError: A file is gone or has changed.
    """
    for file, state in facts.files.items():
        if _state(file) != state:
            what = "has changed" if file.exists() else "is gone"
            raise DataError(f"{file} {what} since this run checked it: leave the data as it is during a run, and run again.")
