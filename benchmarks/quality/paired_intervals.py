"""Differences between models that were trained by several seeds, with intervals: the users of eval/ are drawn with replacement.

What is drawn is the same for all models and seeds, so that a difference is as certain as the models are alike. An interval says what other
users and other seeds together would change: the variance of the difference over the draws, of its mean over the seeds, is added to that of
the mean over the seeds, s² / n. One seed says nothing of others, so there is no interval.
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

Replicates = dict[str, np.ndarray]  # by metric, (R,)


class Draws:
    """Draws of the users of an eval split.

    Args:
        judge: The split. Where users are not told apart, impressions are drawn.
        replicates: How many draws.
    """

    def __init__(self, judge: EvalSplit, replicates: int = REPLICATES):
        self._judge = judge
        users = np.arange(len(judge.label)) if judge.user is None else judge.user
        _, self._user = np.unique(users, return_inverse=True)
        self._weights = list(draw_weights(int(self._user.max()) + 1, replicates, SEED))

    def of(self, logits: Sequence[np.ndarray]) -> Replicates:
        """The metrics of a model in each draw, mean over its seeds.

        Args:
            logits: (N,) of each seed.
        """
        cut = Slice(self._judge.label, {str(i): expit(x) for i, x in enumerate(logits)}, self._user, None, list(METRICS))
        drawn = replicates_of(cut, self._weights).values()
        return {metric: np.mean([of_seed[metric] for of_seed in drawn], axis=0) for metric in METRICS}


def difference(values: Sequence[float], others: Sequence[float], drawn: np.ndarray, others_drawn: np.ndarray) -> dict[str, Any]:
    """A metric of a model less another model's, with its interval, and by seed.

    Args:
        values: By seed.
        others: The other model's, by the same seeds.
        drawn: (R,) mean over the seeds, in each draw.
        others_drawn: The other model's.
    """
    by_seed = np.subtract(values, others)
    mean = float(np.mean(by_seed))
    half = _half_width(by_seed, drawn - others_drawn)
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return {"difference": mean, "low": low, "high": high, "by_seed": by_seed.tolist()}


def _half_width(by_seed: np.ndarray, drawn: np.ndarray) -> float | None:
    """Student's t times the standard error, with Welch's and Satterthwaite's degrees of freedom.

    None where there is one seed alone, or where a tenth of the draws are not defined.
    """
    seeds, defined = len(by_seed), drawn[~np.isnan(drawn)]
    if seeds < 2 or len(defined) < max(2, DEFINED * len(drawn)):
        return None
    users, of_seeds = float(np.var(defined, ddof=1)), float(np.var(by_seed, ddof=1)) / seeds
    if users + of_seeds == 0:
        return 0.0
    freedom = (users + of_seeds) ** 2 / (of_seeds**2 / (seeds - 1) + users**2 / (len(defined) - 1))
    return float(student.ppf((1 + CONFIDENCE) / 2, freedom)) * (users + of_seeds) ** 0.5
