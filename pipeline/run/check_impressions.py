"""Checks a data set before TFX starts: it reads every impression once, and knows shards again that an earlier run has checked.

The data gate in the DAG checks the same data again, against its schema. A schema cannot express what is found here: labels of one class
only, histories that are not aligned, events from the future.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from components.base.errors import DataError
from components.base.shards import hash_shard, split_fingerprint
from components.base.tfrecord import read_batches
from din_trainer.features import HISTORICAL_TIMESTAMPS, LABEL, REQUEST_ID, TIMESTAMP, FeatureConfig
from pipeline.datasets.layout import SPLITS, split_files
from pipeline.run.batch_checker import BatchChecker, list_columns, value_type
from pipeline.run.check_environment import check_path_for_tfx
from pipeline.run.quick_batches import NotAsExpected, quick_batches
from pipeline.run.shard_facts import ShardFacts, ShardState, known_shards

_FIRST = 8192  # impressions of a shard that show which columns it has


class DataFacts(NamedTuple):
    """What the checks found in a data set.

    Attributes:
        examples: Number of impressions by split.
        columns: Type (`int64`, `float` or `bytes`) by name of a column of the data. In a large shard, a column that the features do not
            declare is known if it is among the first impressions.
        shards: The state of each shard when it was read.
        fingerprint: The fingerprint of the content, as that of ImportExampleGen.
    """

    examples: dict[str, int]
    columns: dict[str, str]
    shards: dict[Path, ShardState]
    fingerprint: str


def _check_batches(batches: Iterable[pa.RecordBatch], file: Path, features: FeatureConfig) -> ShardFacts:
    """Checks all batches of a shard."""
    facts, checker = ShardFacts(), BatchChecker(file, features)
    for batch in batches:
        checker.check(batch)
        labels = batch.column(LABEL).flatten().to_numpy()
        facts.examples += batch.num_rows
        facts.labels |= set(np.unique(labels).tolist())
        if features.weight:
            facts.weighted |= set(np.unique(labels[batch.column(features.weight).flatten().to_numpy() > 0]).tolist())
        facts.columns |= _columns(batch)
    facts.with_values = checker.with_values
    return facts


def _columns(batch: pa.RecordBatch) -> dict[str, str]:
    return {name: str(value_type(batch.schema.field(name).type)) for name in list_columns(batch)}


def _check_shard(file: Path, features: FeatureConfig) -> ShardFacts:
    """Checks a shard: quickly if it is large and sound, otherwise by the reader that can say what is wrong and where."""
    first = next(read_batches(file, _FIRST), None)
    if first is not None and first.num_rows == _FIRST:
        present = _columns(first)
        dtypes: dict[str, str] = {name: dtype for name, dtype in present.items() if name == REQUEST_ID}
        dtypes |= dict.fromkeys((LABEL, TIMESTAMP, HISTORICAL_TIMESTAMPS), "int64")
        dtypes |= {column.name: column.dtype for column in features.columns}
        if features.weight:
            dtypes[features.weight] = "float"
        with contextlib.suppress(NotAsExpected, DataError):
            facts = _check_batches(quick_batches(file, dtypes), file, features)
            facts.columns = present | {name: dtypes[name] for name in facts.with_values}
            return facts
    return _check_batches(read_batches(file), file, features)


def _check_split(found: ShardFacts, folder: Path, features: FeatureConfig) -> None:
    """Checks what the shards of a split hold together."""
    if found.examples == 0:
        raise DataError(f"{folder} holds no impressions: every split needs some.")
    if len(found.labels) < 2:
        raise DataError(f"{folder}: every label is {found.labels.pop()}, so nothing can be learnt or judged: both classes are needed.")
    if features.weight and folder.name != "eval" and len(found.weighted) < 2:
        raise DataError(f"{folder}: {features.weight!r} is 0 for a whole class of labels, so nothing can be learnt: weigh both classes.")
    for column in features.columns if folder.name == "train" else []:
        if column.name not in found.with_values:
            raise DataError(
                f"{folder}: no impression has a value of feature {column.name!r}: add it to the data, or remove it from [features]."
            )


def check_data(data: Path, features: FeatureConfig, known: Path | None = None) -> DataFacts:
    """Checks a whole data set.

    Args:
        data: Its folder.
        features: The features that the model reads.
        known: A file with what earlier checks by the same features and code found. A shard that is still the same is not read again.

    Raises:
        DataError: The first problem that is found: file, impression, what is wrong, what to do.
        InputError: The path of the data set has a wildcard in it.
    """
    check_path_for_tfx(data.absolute(), "--data")
    examples: dict[str, int] = {}
    columns: dict[str, str] = {}
    states: dict[Path, ShardState] = {}
    fingerprints: list[str] = []
    with known_shards(known) as checked:
        for split in SPLITS:
            found, hashes = ShardFacts(), []
            for file in split_files(data, split):
                state = _state(file)
                facts = checked.get(file, state) if state else None
                facts = facts or _check_shard(file, features).model_copy(update={"sha256": hash_shard(file)})
                if state:
                    checked.put(file, state, facts)
                    states[file] = state
                found.add(facts)
                hashes.append(facts.sha256)
            _check_split(found, data / split, features)
            examples[split] = found.examples
            columns |= found.columns
            fingerprints.append(split_fingerprint(split, hashes))
    whole = DataFacts(examples, columns, states, "\n".join(fingerprints))
    check_unchanged(whole)  # what was checked is what was hashed
    return whole


def _state(file: Path) -> ShardState | None:
    try:
        return ShardState.of(file)
    except OSError:
        return None


def check_unchanged(facts: DataFacts) -> None:
    """Checks that the files of a data set are still those that were checked.

    Raises:
        DataError: A file is gone or has changed.
    """
    for file, state in facts.shards.items():
        if _state(file) != state:
            what = "has changed" if file.exists() else "is gone"
            raise DataError(f"{file} {what} since this run checked it: leave the data as it is during a run, and run again.")
