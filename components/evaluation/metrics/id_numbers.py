"""Replaces ids by numbers, which compare fast, for ids of any type."""

import numpy as np
import pandas as pd


def numbers(ids: np.ndarray) -> np.ndarray:
    """(N,) ids -> (N,) numbers from 0 in the order of first appearance, −1 where the id is missing (None)."""
    return pd.factorize(ids)[0]


def numbers_within(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Numbers pairs of ids, such as user and request, where a request id is unique only within its user.

    Args:
        outer: (N,) ids.
        inner: (N,) ids.

    Returns:
        (N,) numbers of the pairs from 0, −1 where the inner id is missing.
    """
    inside = numbers(inner)
    pairs = pd.factorize(numbers(outer) * (inside.max(initial=0) + 1) + inside)[0]
    return np.where(inside < 0, -1, pairs)
