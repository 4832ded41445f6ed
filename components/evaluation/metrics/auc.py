"""Computes AUC (the area under the ROC curve) and average precision (the area under the precision-recall curve), both exactly.

Each distinct score has a rank of its own, however close together the scores lie. (TFMA's own AUC has thresholds that are evenly spaced in
probability: if one impression in a thousand is clicked, all scores lie between two of them.)
"""

import numpy as np

RANKED = ("auc", "pr_auc")  # the metrics that `areas` computes


def score_levels(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Numbers the scores by rank: equal scores share a level. So do neighbouring scores without any click: no area changes.

    Args:
        label: (N,), 0 or 1.
        score: (N,), none of them NaN.

    Returns:
        (N,) levels. The highest score has level 0. There are at most twice as many levels as clicks, and one more.
    """
    distinct, rank = np.unique(-score, return_inverse=True)
    clicked = np.bincount(rank, label, len(distinct)) > 0
    begins = clicked | np.append(True, clicked[:-1])  # where a level begins
    return (np.cumsum(begins) - 1)[rank]


def level_counts(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts the impressions without and with a click by level: (N,), (N,) -> (S,), (S,). NaN if a score is NaN or there is none."""
    if not len(score) or np.isnan(score).any():
        return np.full(1, np.nan), np.full(1, np.nan)
    level = score_levels(label, score)
    return np.bincount(level, 1 - label), np.bincount(level, label)


def areas(others: np.ndarray, clicks: np.ndarray) -> dict[str, np.ndarray]:
    """AUC and average precision.

    `auc` is the share of the pairs (clicked, not clicked) in the right order; a pair with equal scores counts half. `pr_auc` is the mean of
    the precision at each click, without interpolation, as in scikit-learn.

    Args:
        others: (S, ...), the numbers of impressions without a click by score level, the highest score first.
        clicks: (S, ...), the numbers of impressions with a click.

    Returns:
        (...) by metric, NaN where one class is missing.
    """
    clicked, passed = np.cumsum(clicks, axis=0), np.cumsum(others, axis=0)  # with this score or a higher one
    pairs = clicked[-1] * passed[-1]
    wrong = _sum_of_products(clicks, passed) - _sum_of_products(clicks, others) / 2
    precision = clicked / np.maximum(clicked + passed, 1)  # the counts are whole numbers: where they are 0, so is the precision
    return {"auc": _ratio(pairs - wrong, pairs), "pr_auc": _ratio(_sum_of_products(clicks, precision) * passed[-1], pairs)}


def _sum_of_products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.einsum("s...,s...->...", left, right)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(np.shape(bottom), np.nan), where=np.asarray(bottom) != 0)
