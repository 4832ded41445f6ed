"""The splits of an import: which interactions go to train, validation and eval."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.importing.random_numbers import uniform
from pipeline.datasets.importing.user_order import changes, codes, times
from pipeline.datasets.layout import SPLITS
from pipeline.datasets.sources.interactions import SPLIT, USER

TRAIN, VALIDATION, EVAL = range(len(SPLITS))
_BLOCK_BITS = 16  # times are counted in blocks of 2**16 first, and one by one only in the blocks that matter


class Cuts(NamedTuple):
    """What a split needs to know about all interactions.

    Attributes:
        train_until: For "time": the last time of train.
        validation_until: For "time": the last time of validation.
        draws_validation: For "given": whether validation is drawn from train, since the source has none.
    """

    train_until: int = 0
    validation_until: int = 0
    draws_validation: bool = False


def split_rule(settings: ImportSettings) -> str:
    """Returns the rule of a split in words, for the manifest."""
    if settings.spans:
        return "none: each day in UTC is a folder of its own"
    shares = {"eval": settings.eval_share, "validation": settings.validation_share}
    percent = {name: f"{share:.4%}".rstrip("0%").rstrip(".") + " %" for name, share in shares.items()}
    return {
        "last": f"per user, by time: the last floor({percent['eval']}) are eval, the floor({percent['validation']}) before them "
        "validation, the rest train",
        "last-items": f"per user, by time: the last {settings.last} item(s) are eval, the {settings.last} before them validation, "
        "the rest train",
        "time": f"cuts in time over all {'clicks' if settings.sampled else 'interactions'}: the last floor({percent['eval']}) are eval, "
        f"the floor({percent['validation']}) before them validation, the rest train; the second of a cut belongs to the earlier split",
        "user": f"users are drawn by the seed: all that {percent['eval']} of them did is eval, {percent['validation']} validation, "
        "the rest train",
        "given": f"eval as the source gives it; validation too, or else {percent['validation']} of the users of train, drawn by the seed; "
        "no history holds a click of a later split",
    }[settings.split or "last"]


def split_sizes(size: int, settings: ImportSettings) -> tuple[int, int]:
    """Returns how many of `size` interactions are validation and eval, both rounded down."""
    return int(size * settings.validation_share + 1e-9), int(size * settings.eval_share + 1e-9)


def assign(table: pa.Table, rows: np.ndarray, settings: ImportSettings, cuts: Cuts) -> np.ndarray:
    """Returns the split of each impression.

    Args:
        table: Interactions, sorted by user and time.
        rows: (R,) the interactions that are impressions, in order.
        settings: The kind of split and its shares.
        cuts: Found in all interactions.

    Returns:
        (R,) indices into `layout.SPLITS`.
    """
    if settings.spans:
        return np.zeros(len(rows), np.int8)
    if settings.split == "time":
        time = times(table)[rows]
        return (time > cuts.train_until).astype(np.int8) + (time > cuts.validation_until)
    if settings.split == "user":
        chance = _chances(table, rows, settings)
        return (chance < settings.eval_share + settings.validation_share).astype(np.int8) + (chance < settings.eval_share)
    if settings.split == "given":
        given = table[SPLIT].to_numpy()[rows].astype(np.int8)
        drawn = cuts.draws_validation & (_chances(table, rows, settings) < settings.validation_share)
        return np.where(drawn & (given == TRAIN), VALIDATION, given)
    return _by_place(codes(table[USER])[rows], settings)


def _chances(table: pa.Table, rows: np.ndarray, settings: ImportSettings) -> np.ndarray:
    """Returns a random number in [0, 1) for each row, (R,); all rows of a user have the same number."""
    return uniform(table[USER].take(rows).combine_chunks(), settings.seed)


def _by_place(user: np.ndarray, settings: ImportSettings) -> np.ndarray:
    """(R,) users in order -> (R,) splits, by how many rows of the user are left, the row itself included."""
    if not len(user):
        return np.zeros(0, np.int8)
    starts = np.flatnonzero(changes(user))
    size = np.diff(np.append(starts, len(user)))
    left = np.repeat(starts + size, size) - np.arange(len(user))
    if settings.split == "last-items":
        evaluation = validation = np.full(len(size), settings.last)
    else:
        validation, evaluation = (np.array(sizes, int) for sizes in zip(*(split_sizes(int(n), settings) for n in size), strict=True))
    evaluation, validation = np.repeat(evaluation, size), np.repeat(validation, size)
    return (left <= evaluation + validation).astype(np.int8) + (left <= evaluation)


def values_at_ranks(batches: Callable[[], Iterator[np.ndarray]], ranks: Sequence[int]) -> list[int]:
    """Finds the values at some ranks in a stream of integers, in two passes and with little memory.

    Args:
        batches: Starts the stream again at each call.
        ranks: From 0, each less than the number of values.
    """
    blocks, counts = _counted(batches(), lambda values: values >> _BLOCK_BITS)
    cumulated = np.cumsum(counts)
    places = np.searchsorted(cumulated, ranks, side="right")
    wanted = np.unique(blocks[places])
    values, counts_inside = _counted(batches(), lambda values: values[np.isin(values >> _BLOCK_BITS, wanted)])
    found = []
    for rank, place in zip(ranks, places, strict=True):
        inside = values >> _BLOCK_BITS == blocks[place]
        before = cumulated[place] - counts[place]
        found.append(int(values[inside][np.searchsorted(np.cumsum(counts_inside[inside]), rank - before, side="right")]))
    return found


def _counted(batches: Iterator[np.ndarray], key: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the different keys of a stream in order, and how often each one occurs."""
    keys, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for batch in batches:
        found, count = np.unique(key(batch), return_counts=True)
        keys, place = np.unique(np.concatenate((keys, found)), return_inverse=True)
        counts = np.bincount(place, np.concatenate((counts, count)), len(keys)).astype(np.int64)
    return keys, counts
