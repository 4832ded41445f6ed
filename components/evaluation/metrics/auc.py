"""Areas under the curves of a ranking, from clicked and other impressions by score.

Scores are told apart in 4,000 levels, evenly spaced in logits from −16 to 16: at any click rate they are fine where the scores are. (TFMA's
own thresholds are evenly spaced in probability: with clicks of one in a thousand all scores fall between two of them.)
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
    """Other impressions and clicked ones by level: (N,), (N,) -> (2, LEVELS), all NaN where a score is."""
    if np.isnan(score).any():
        return np.full((2, LEVELS), np.nan)
    level = score_levels(score)
    return np.stack([np.bincount(level, label == clicked, LEVELS) for clicked in (0, 1)])


def auc(others: np.ndarray, clicks: np.ndarray) -> np.ndarray:
    """Share of the pairs in order, those of one level counted half.

    Args:
        others: Impressions without a click by score, the worst first: (S, ...).
        clicks: Those with one.

    Returns:
        (...), NaN where one class is missing.
    """
    below = np.cumsum(others, axis=0)
    return _of_two_classes(np.sum(clicks * (below - others / 2), axis=0), np.sum(clicks, axis=0) * below[-1])


def average_precision(others: np.ndarray, clicks: np.ndarray) -> np.ndarray:
    """Area under the precision-recall curve as scikit-learn has it, without interpolation; arguments and result as `auc`."""
    clicked, all_others = clicks[::-1].cumsum(axis=0)[::-1], others[::-1].cumsum(axis=0)[::-1]  # at this level or above
    shown = clicked + all_others
    precision = np.divide(clicked, shown, out=np.zeros(shown.shape), where=shown > 0)
    area, pairs = np.sum(clicks * precision, axis=0), clicked[0] * all_others[0]
    return _of_two_classes(area * all_others[0], pairs)


def _of_two_classes(top: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.divide(top, pairs, out=np.full(np.shape(pairs), np.nan), where=np.asarray(pairs) != 0)


RANKED = {"auc": auc, "pr_auc": average_precision}
