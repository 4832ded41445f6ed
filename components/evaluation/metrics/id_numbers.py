"""Ids as numbers, which compare quickly whatever they are made of."""

import numpy as np
import pandas as pd


def numbers(ids: np.ndarray) -> np.ndarray:
    """(N,) ids of one kind -> (N,) from 0 in the order of their appearance; −1 where one is missing (None)."""
    return pd.factorize(ids)[0]


def numbers_within(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Numbers of the pairs that occur, for inner ids that are unique within an outer one only: (N,), −1 where the inner one is missing."""
    inside = numbers(inner)
    pairs = pd.factorize(numbers(outer) * (inside.max(initial=0) + 1) + inside)[0]
    return np.where(inside < 0, -1, pairs)
