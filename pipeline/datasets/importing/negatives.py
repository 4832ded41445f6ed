"""Draws negatives for data that has only clicks: items by chance or by popularity, never one that the user has interacted with."""

from typing import Literal

import numpy as np

from pipeline.datasets.importing.random_numbers import uniform

Kind = Literal["uniform", "popularity"]
NONE_LEFT = -1
_ROUNDS = 30  # of drawing and rejecting; after them, the items that the user does not know are listed


class NegativeSampler:
    """Draws items by their number, 0 to M - 1.

    Args:
        clicks: (M,) how often each item was clicked.
        kind: "uniform": all items are equally likely; "popularity": an item is drawn in proportion to its clicks.
        seed: Decides the draws, together with a key for each draw.
        born: (M,) when each item was seen first; only "uniform" looks at it.
    """

    def __init__(self, clicks: np.ndarray, kind: Kind, seed: int, born: np.ndarray | None = None):
        self._weights = clicks.astype(np.float64) if kind == "popularity" else np.ones(len(clicks))
        self._cumulated = np.cumsum(self._weights)
        self._seed = seed
        self._by_birth = None if born is None else np.argsort(born, kind="stable")
        self._births = None if born is None else np.sort(born)

    def draw(self, keys: np.ndarray, users: np.ndarray, known: np.ndarray, until: np.ndarray | None = None) -> np.ndarray:
        """Draws one item for each row.

        Args:
            keys: (N,) int64, a different key for each row of the data.
            users: (N,) number of the user of each row.
            known: Sorted pairs `user * M + item` that the users have interacted with.
            until: (N,) times; an item that was seen first after the time of a row is not drawn for it. Given if `born` is.

        Returns:
            (N,) item numbers; `NONE_LEFT` where the user knows every item that could be drawn.
        """
        size = len(self._weights)
        there = np.full(len(keys), size) if self._births is None or until is None else np.searchsorted(self._births, until, side="right")
        items = np.full(len(keys), NONE_LEFT)
        left = np.arange(len(keys))
        for number in range(_ROUNDS):
            if not len(left):
                return items
            drawn = self._items(uniform(keys[left], self._seed * _ROUNDS + number), there[left])
            fresh = ~_contains(known, users[left] * size + drawn)
            items[left[fresh]] = drawn[fresh]
            left = left[~fresh]
        for user, count in np.unique(np.stack((users[left], there[left])), axis=1).T:
            rows = left[(users[left] == user) & (there[left] == count)]
            items[rows] = self._from_unknown(int(user), int(count), uniform(keys[rows], -1 - self._seed), known)
        return items

    def _items(self, chances: np.ndarray, there: np.ndarray) -> np.ndarray:
        """(N,) in [0, 1), (N,) how many of the items were seen first in time -> (N,) items, by their weights."""
        if self._by_birth is not None:
            return self._by_birth[(chances * there).astype(np.int64)]
        return np.searchsorted(self._cumulated, chances * self._cumulated[-1], side="right").clip(max=len(self._cumulated) - 1)

    def _from_unknown(self, user: int, there: int, chances: np.ndarray, known: np.ndarray) -> np.ndarray | int:
        """(N,) in [0, 1) -> (N,) items that a user does not know, by their weights, of the `there` items that were seen first."""
        size = len(self._weights)
        weights = self._weights.copy()
        weights[known[np.searchsorted(known, user * size) : np.searchsorted(known, (user + 1) * size)] - user * size] = 0
        if self._by_birth is not None:
            weights[self._by_birth[there:]] = 0
        cumulated = np.cumsum(weights)
        return np.searchsorted(cumulated, chances * cumulated[-1], side="right") if cumulated[-1] else NONE_LEFT


def _contains(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns which values are in an ordered array, (N,) bool."""
    place = np.searchsorted(ordered, values)
    found = np.zeros(len(values), bool)
    inside = place < len(ordered)
    found[inside] = ordered[place[inside]] == values[inside]
    return found
