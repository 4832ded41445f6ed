"""Which records of a split belong to which worker: whole shards, and a part of the records of those that are left over."""

from typing import NamedTuple

import numpy as np


class Share(NamedTuple):
    """A worker's share of a split. All workers together have each record once.

    Attributes:
        shards: The numbers of the shards that it reads, ascending. Each worker has equally many whole shards.
        from_split: Shards from this number on are left over: of their records, each worker has every `step`-th one, from `first` on.
        first: The number of the worker.
        step: The number of workers.
    """

    shards: list[int]
    from_split: int
    first: int
    step: int


def share_of(worker: int, workers: int, shards: int) -> Share:
    """The share of one of several workers, counted from 0."""
    whole = shards - shards % workers
    return Share([*range(worker, whole, workers), *range(whole, shards)], whole, worker, workers)


def places_of(share: Share, counts: np.ndarray) -> np.ndarray:
    """The places of a worker's records in the split, whose shards follow each other.

    Args:
        share: The worker's share.
        counts: (workers, shards), how many records of each shard each worker has.

    Returns:
        (N,) int64 ascending.
    """
    own, of_all = counts[share.first], counts.sum(axis=0)
    starts = np.cumsum(of_all) - of_all
    places = [
        starts[shard] + (share.first + share.step * np.arange(own[shard]) if shard >= share.from_split else np.arange(own[shard]))
        for shard in share.shards
    ]
    return np.concatenate(places).astype(np.int64)
