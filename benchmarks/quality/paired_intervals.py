"""Computes differences between two models, trained with several seeds, with intervals from a bootstrap over the users of eval/.

All models and seeds use the same draws of users: the difference of two similar models then varies little between draws. An interval covers
other users and other seeds. Its variance is the sum of two: the variance over the draws of the difference's mean over the seeds, and the
variance of the mean over the seeds, s² / n. With one seed the second variance is not known, so there is no interval.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit
from scipy.stats import t as student

from benchmarks.quality.eval_judge import EvalSplit
from components.evaluation.poisson_bootstrap import DEFINED, Slice, draw_weights, replicates_of

REPLICATES, CONFIDENCE, SEED = 400, 0.95, 0
METRICS = ("auc", "gauc")

Replicates = dict[str, np.ndarray]  # the metric in each draw, (R,), by metric


class Draws:
    """Draws of the users of an eval split.

    Args:
        judge: The split. Without user ids, impressions are drawn.
        replicates: The number of draws.
    """

    def __init__(self, judge: EvalSplit, replicates: int = REPLICATES):
        self._judge = judge
        users = np.arange(len(judge.label)) if judge.user is None else judge.user
        _, self._user = np.unique(users, return_inverse=True)
        self._weights = list(draw_weights(int(self._user.max()) + 1, replicates, SEED))

    def of(self, logits: Sequence[np.ndarray]) -> Replicates:
        """Returns the metrics of a model in each draw, as means over the seeds.

        Args:
            logits: The logits (N,) of each seed.
        """
        cut = Slice(self._judge.label, {str(i): expit(x) for i, x in enumerate(logits)}, self._user, None, list(METRICS))
        drawn = replicates_of(cut, self._weights).values()
        return {metric: np.mean([of_seed[metric] for of_seed in drawn], axis=0) for metric in METRICS}


def difference(values: Sequence[float], others: Sequence[float], drawn: np.ndarray, others_drawn: np.ndarray) -> dict[str, Any]:
    """Returns the difference of a metric between two models, with its interval, and the difference of each seed.

    Args:
        values: The metric of the first model, by seed.
        others: The metric of the second model, by the same seeds.
        drawn: (R,) the mean over the seeds of the first model, in each draw.
        others_drawn: That of the second model.
    """
    by_seed = np.subtract(values, others)
    mean = float(np.mean(by_seed))
    half = _half_width(by_seed, drawn - others_drawn)
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return {"difference": mean, "low": low, "high": high, "by_seed": by_seed.tolist()}


def _half_width(by_seed: np.ndarray, drawn: np.ndarray) -> float | None:
    """Returns Student's t times the standard error, with Welch's and Satterthwaite's degrees of freedom.

    None if there is only one seed, or if a smaller share of the draws than `DEFINED` has a value.
    """
    seeds, defined = len(by_seed), drawn[~np.isnan(drawn)]
    if seeds < 2 or len(defined) < max(2, DEFINED * len(drawn)):
        return None
    users, of_seeds = float(np.var(defined, ddof=1)), float(np.var(by_seed, ddof=1)) / seeds
    if users + of_seeds == 0:
        return 0.0
    freedom = (users + of_seeds) ** 2 / (of_seeds**2 / (seeds - 1) + users**2 / (len(defined) - 1))
    return float(student.ppf((1 + CONFIDENCE) / 2, freedom)) * (users + of_seeds) ** 0.5
