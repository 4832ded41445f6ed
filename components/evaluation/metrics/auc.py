"""Computes AUC (the area under the ROC curve) and average precision (the area under the precision-recall curve).

Scores are put into 4,000 levels, evenly spaced in logits from −16 to 16, which separates them well at any click rate. (The thresholds of
TFMA's own AUC are evenly spaced in probability: if one impression in a thousand is clicked, all scores lie between two of them.)
"""

import numpy as np

LEVELS = 4000
_LOGIT = 16.0


def score_levels(score: np.ndarray) -> np.ndarray:
    """Probabilities (N,) -> levels from 0 (N,)."""
    with np.errstate(divide="ignore"):
        logit = np.log(score) - np.log1p(-score)
    return np.clip((logit + _LOGIT) / (2 * _LOGIT) * LEVELS, 0, LEVELS - 1).astype(np.int64)


def level_counts(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Counts impressions without and with a click by level: (N,), (N,) -> (2, LEVELS), all NaN if a score is NaN."""
    if np.isnan(score).any():
        return np.full((2, LEVELS), np.nan)
    level = score_levels(score)
    return np.stack([np.bincount(level, label == clicked, LEVELS) for clicked in (0, 1)])


def auc(others: np.ndarray, clicks: np.ndarray) -> np.ndarray:
    """The share of the pairs (clicked, not clicked) in the right order. A pair of one level counts half.

    Args:
        others: (S, ...), the numbers of impressions without a click by score level, the lowest first.
        clicks: (S, ...), the numbers of impressions with a click.

    Returns:
        (...), NaN where one class is missing.
    """
    below = np.cumsum(others, axis=0)
    return _of_two_classes(np.sum(clicks * (below - others / 2), axis=0), np.sum(clicks, axis=0) * below[-1])


def average_precision(others: np.ndarray, clicks: np.ndarray) -> np.ndarray:
    """The area under the precision-recall curve, without interpolation, as in scikit-learn. Arguments and result as for `auc`."""
    clicked, all_others = clicks[::-1].cumsum(axis=0)[::-1], others[::-1].cumsum(axis=0)[::-1]  # at this level or above
    shown = clicked + all_others
    precision = np.divide(clicked, shown, out=np.zeros(shown.shape), where=shown > 0)
    area, pairs = np.sum(clicks * precision, axis=0), clicked[0] * all_others[0]
    return _of_two_classes(area * all_others[0], pairs)


def _of_two_classes(top: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.divide(top, pairs, out=np.full(np.shape(pairs), np.nan), where=np.asarray(pairs) != 0)


RANKED = {"auc": auc, "pr_auc": average_precision}
