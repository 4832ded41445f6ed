"""Checks how many values an impression has of each feature, and that lists which go together do: of events, of tags, of vectors."""

from collections.abc import Sequence

import numpy as np

from din_trainer.raw_inputs import Input
from pipeline.run.checks.checked_batch import CheckedBatch


def check_count(batch: CheckedBatch, read: Input) -> None:
    """Checks the number of values of a feature that is no list of events.

    Raises:
        DataError: The first impression with another number.
    """
    column, lengths = read.column, batch.lengths(read.column.name)
    if column.presence == "sequence":
        return
    if column.presence == "required":
        batch.refuse(lengths != 1, f"feature {column.name!r} must have exactly one value.")
    elif column.width == 1:
        batch.refuse(lengths > 1, f"feature {column.name!r} must have at most one value.")
    elif column.width is not None:
        bad = (lengths != 0) & (lengths != column.width)
        batch.refuse(bad, f"feature {column.name!r} must have exactly {column.width} numbers, or none.")


def check_vectors(batch: CheckedBatch, read: Input) -> None:
    """Checks that each vector has all its numbers or none; the number of values fits.

    Raises:
        DataError: The first impression with a vector of which a part is missing.
    """
    column = read.column
    if column.name not in batch.names or column.width in (None, 1):
        return
    missing = np.isnan(batch.numbers(column.name)).reshape(-1, column.width)
    bad = np.zeros(batch.size, bool)
    bad[batch.rows(column.name)[:: column.width][missing.any(axis=1) & ~missing.all(axis=1)]] = True
    batch.refuse(bad, f"a vector of {column.name!r} has missing numbers (NaN) and others: write all of its numbers, or none.")


def check_alignment(batch: CheckedBatch, inputs: Sequence[Input]) -> None:
    """Checks that the lists of each sequence are aligned event by event, and weights of tags value by value.

    Raises:
        DataError: The first impression where they are not.
    """
    firsts: dict[str, str] = {}
    for read in inputs:
        if read.sequence and not read.beside:
            _check_events(batch, read, firsts.setdefault(read.sequence, read.column.name))
        if read.beside:
            bad = batch.lengths(read.column.name) != batch.lengths(read.beside)
            batch.refuse(bad, f"{read.column.name!r} and {read.beside!r} differ in length: each value needs a weight.")


def _check_events(batch: CheckedBatch, read: Input, first: str) -> None:
    """Checks a list of events against the history that decides which events there are."""
    name, events = read.column.name, batch.lengths(first)
    if read.column.width is None:
        _check_lengths(batch, read, first)
    elif read.column.width == 1:
        bad = batch.lengths(name) != events
        batch.refuse(bad, f"{name!r} and {first!r} differ in length: the histories of a sequence must be aligned event by event.")
    else:
        bad = batch.lengths(name) != events * read.column.width
        batch.refuse(bad, f"{name!r} must have {read.column.width} numbers for each event of {first!r}, one vector after the other.")


def _check_lengths(batch: CheckedBatch, read: Input, first: str) -> None:
    name, lengths = read.column.name, read.lengths
    bad = batch.lengths(lengths) != batch.lengths(first)
    batch.refuse(bad, f"{lengths!r} and {first!r} differ in length: it needs the number of values of {name!r} for each event.")
    batch.refuse_value(lengths, batch.numbers(lengths) < 0, "holds {value}: a number of values is 0 or more.")
    sums = np.bincount(batch.rows(lengths), weights=batch.numbers(lengths), minlength=batch.size)
    batch.refuse(sums != batch.lengths(name), f"the numbers in {lengths!r} do not sum to the number of values of {name!r}.")
