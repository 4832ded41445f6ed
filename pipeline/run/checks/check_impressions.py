"""Checks a data set before TFX starts: it reads every impression once, and knows shards again that an earlier run has checked.

The data gate in the DAG checks the same data again, against its schema. A schema cannot express what is found here: labels of one class
only, histories that are not aligned, events from the future.
"""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from components.base.cores import usable_cores
from components.base.errors import DataError
from components.base.shards import SPAN_SPLIT, ShardState, remember_hash, split_fingerprint
from components.base.tfrecord import BLOCK, decode_examples, read_batches, read_blocks
from din_trainer.features import HISTORICAL_TIMESTAMPS, LABEL, REQUEST_ID, TIMESTAMP, FeatureConfig
from din_trainer.raw_inputs import inputs_of
from pipeline.datasets.layout import SPLITS, split_files
from pipeline.datasets.spans import Span
from pipeline.run.checks.batch_checker import BatchChecker
from pipeline.run.checks.check_environment import check_path_for_tfx
from pipeline.run.checks.checked_batch import list_columns, value_type
from pipeline.run.checks.quick_batches import NotAsExpected, quick_batches
from pipeline.run.checks.shard_facts import KnownShards, ShardFacts, known_shards

_LARGE = BLOCK  # impressions of a large shard, at least
_FIRST = 1024  # impressions of a large shard that show which columns it has
_SPLIT_OTHERWISE = "give it splits of its own, or use --window."


class DataFacts(NamedTuple):
    """What the checks found in a data set.

    Attributes:
        examples: Number of impressions by split, or by the name of a span.
        columns: Type (`int64`, `float` or `bytes`) by name of a column of the data. In a large shard, a column that the features do not
            declare is known if it is among the first impressions.
        shards: The state of each shard when it was read.
        hashes: The hash of each shard.
        fingerprints: The fingerprint of the content, as that of ImportExampleGen, by split or by the name of a span.
        cut: How many values of all of it are cut or guessed, as `pipeline.run.checks.cut_values.count_cut` returns it.
    """

    examples: dict[str, int]
    columns: dict[str, str]
    shards: dict[Path, ShardState]
    hashes: dict[Path, str]
    fingerprints: dict[str, str]
    cut: Counter[str]

    @property
    def fingerprint(self) -> str:
        """All fingerprints, one a line."""
        return "\n".join(self.fingerprints.values())


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
    facts.with_values, facts.further, facts.cut = checker.with_values, checker.labels, checker.cut
    return facts


def _columns(batch: pa.RecordBatch) -> dict[str, str]:
    return {name: str(value_type(batch.schema.field(name).type)) for name in list_columns(batch)}


def _check_shard(file: Path, features: FeatureConfig) -> ShardFacts:
    """Checks a shard and hashes it: quickly if it is large and sound, otherwise by the reader that can say what is wrong and where."""
    digest = hashlib.sha256()
    blocks = read_blocks(file, digest=digest)
    first = next(blocks, [])
    if len(first) >= _LARGE:
        present = _columns(decode_examples(first[:_FIRST], file))
        dtypes: dict[str, str] = {name: dtype for name, dtype in present.items() if name == REQUEST_ID}
        dtypes |= dict.fromkeys((LABEL, TIMESTAMP, HISTORICAL_TIMESTAMPS), "int64")
        dtypes |= {column.name: column.dtype for column in (*features.columns, *features.kept_columns)}
        with contextlib.suppress(NotAsExpected, DataError):
            facts = _check_batches(quick_batches(chain([first], blocks), dtypes), file, features)
            facts.columns = present | {name: dtypes[name] for name in facts.with_values}
            return facts.model_copy(update={"sha256": digest.hexdigest()})
        digest = hashlib.sha256()
        batches = read_batches(file, digest=digest)
    else:  # these are all
        batches = iter([decode_examples(first, file)] if first else [])
    facts = _check_batches(batches, file, features)
    return facts.model_copy(update={"sha256": digest.hexdigest()})


def _check_both_labels(found: ShardFacts, place: Path) -> None:
    if found.examples == 0:
        raise DataError(f"{place} holds no impressions: every split needs some.")
    if len(found.labels) < 2:
        raise DataError(f"{place}: every label is {found.labels.pop()}, so nothing can be learnt or judged: both classes are needed.")


def _check_weights(found: ShardFacts, place: Path, features: FeatureConfig) -> None:
    if features.weight and len(found.weighted) < 2:
        raise DataError(f"{place}: {features.weight!r} is 0 for a whole class of labels, so nothing can be learnt: weigh both classes.")


def _check_features(found: ShardFacts, place: Path, features: FeatureConfig) -> None:
    for name in [*(read.column.name for read in inputs_of(features)), *features.position]:
        if name not in found.with_values:
            raise DataError(f"{place}: no impression has a value of feature {name!r}: add it to the data, or remove it from [features].")
    for name, seen in found.further.items():
        if len(seen) < 2:
            raise DataError(f"{place}: every label {name!r} is {seen.pop()}, so nothing can be learnt of it: both classes are needed.")


class _Reader:
    """Reads the shards of a data set, or takes what an earlier run found in them.

    Attributes:
        facts: What was found so far.
    """

    def __init__(self, features: FeatureConfig, checked: KnownShards):
        self._features, self._checked = features, checked
        self.facts = DataFacts({}, {}, {}, {}, {}, Counter())

    def read(self, name: str, split: str, shards: Iterable[Path]) -> ShardFacts:
        """Returns what all shards of a split or a span hold together.

        Args:
            name: Of the split or the span.
            split: The name of the split in the pipeline.
            shards: Its files, in order.
        """
        found, files = ShardFacts(), list(shards)
        with ThreadPoolExecutor(usable_cores()) as threads:
            for file, (state, facts) in zip(files, threads.map(self._facts, files), strict=True):
                if state:
                    self._checked.put(file, state, facts)
                    self.facts.shards[file] = state
                found.add(facts)
                self.facts.hashes[file] = facts.sha256
        self.facts.examples[name] = found.examples
        self.facts.columns.update(found.columns)
        self.facts.cut.update(found.cut)
        self.facts.fingerprints[name] = split_fingerprint(split, [self.facts.hashes[file] for file in files])
        return found

    def _facts(self, file: Path) -> tuple[ShardState | None, ShardFacts]:
        """The state of a shard before it was read, and what it holds."""
        state = _state(file)
        facts = (self._checked.get(file, state) if state else None) or _check_shard(file, self._features)
        if state:
            remember_hash(file, state, facts.sha256)
        return state, facts


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
    with known_shards(known) as checked:
        reader = _Reader(features, checked)
        for split in SPLITS:
            found = reader.read(split, split, split_files(data, split))
            _check_both_labels(found, data / split)
            if split != "eval":
                _check_weights(found, data / split, features)
            if split == "train":
                _check_features(found, data / split, features)
    check_unchanged(reader.facts)  # what was checked is what was hashed
    return reader.facts


def check_spans(before: Sequence[Span], newest: Span, features: FeatureConfig, known: Path | None = None) -> DataFacts:
    """Checks the spans that a run reads.

    Args:
        before: Those that it learns from, oldest first; empty: it learns from the newest one, which is split by time.
        newest: The one that it is judged on.
        features: As for `check_data`.
        known: As for `check_data`.

    Raises:
        DataError, InputError: As for `check_data`.
    """
    check_path_for_tfx(newest.folder, "--data")
    learnt = ShardFacts()
    with known_shards(known) as checked:
        reader = _Reader(features, checked)
        for span in (*before, newest):
            found = reader.read(span.name, SPAN_SPLIT, span.shards())
            if not found.examples:
                raise DataError(f"{span.folder} holds no impressions: every span needs some.")
            if span is newest:
                _check_both_labels(found, newest.folder)
            if span is not newest or not before:
                learnt.add(found)
        place = before[-1].folder if len(before) == 1 else newest.folder.parent if before else newest.folder
        _check_both_labels(learnt, place)
        _check_weights(learnt, place, features)
        _check_features(learnt, place, features)
    if not before and TIMESTAMP not in learnt.columns:
        raise DataError(f"{newest.folder} cannot be split by time, because no impression has a {TIMESTAMP}: {_SPLIT_OTHERWISE}")
    check_unchanged(reader.facts)
    return reader.facts


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
