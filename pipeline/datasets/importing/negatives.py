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
    """

    def __init__(self, clicks: np.ndarray, kind: Kind, seed: int):
        self._weights = clicks.astype(np.float64) if kind == "popularity" else np.ones(len(clicks))
        self._cumulated = np.cumsum(self._weights)
        self._seed = seed

    def draw(self, keys: np.ndarray, users: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Draws one item for each row.

        Args:
            keys: (N,) int64, a different key for each row of the data.
            users: (N,) number of the user of each row.
            known: Sorted pairs `user * M + item` that the users have interacted with.

        Returns:
            (N,) item numbers; `NONE_LEFT` where the user knows every item that could be drawn.
        """
        items = np.full(len(keys), NONE_LEFT)
        left = np.arange(len(keys))
        for number in range(_ROUNDS):
            if not len(left):
                return items
            drawn = self._items(uniform(keys[left], self._seed * _ROUNDS + number))
            fresh = ~_contains(known, users[left] * len(self._weights) + drawn)
            items[left[fresh]] = drawn[fresh]
            left = left[~fresh]
        for user in np.unique(users[left]):
            rows = left[users[left] == user]
            items[rows] = self._from_unknown(int(user), uniform(keys[rows], -1 - self._seed), known)
        return items

    def _items(self, chances: np.ndarray) -> np.ndarray:
        """(N,) in [0, 1) -> (N,) items, by their weights."""
        return np.searchsorted(self._cumulated, chances * self._cumulated[-1], side="right").clip(max=len(self._cumulated) - 1)

    def _from_unknown(self, user: int, chances: np.ndarray, known: np.ndarray) -> np.ndarray | int:
        """(N,) in [0, 1) -> (N,) items that a user does not know, by their weights."""
        size = len(self._weights)
        weights = self._weights.copy()
        weights[known[np.searchsorted(known, user * size) : np.searchsorted(known, (user + 1) * size)] - user * size] = 0
        cumulated = np.cumsum(weights)
        return np.searchsorted(cumulated, chances * cumulated[-1], side="right") if cumulated[-1] else NONE_LEFT


def _contains(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns which values are in an ordered array, (N,) bool."""
    place = np.searchsorted(ordered, values)
    found = np.zeros(len(values), bool)
    inside = place < len(ordered)
    found[inside] = ordered[place[inside]] == values[inside]
    return found
