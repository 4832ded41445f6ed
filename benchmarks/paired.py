"""Differences between models that were trained by several seeds, with intervals: the users of eval/ are drawn with replacement.

What is drawn is the same for all models and seeds, so that a difference is as certain as the models are alike. The intervals say what other
users would change; what other seeds would change is the spread.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from benchmarks.judging import EvalSplit
from pipeline.bootstrap import Slice, _interval, _replicates, _weights

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
        self._weights = list(_weights(int(self._user.max()) + 1, replicates, SEED))

    def of(self, logits: Sequence[np.ndarray]) -> Replicates:
        """The metrics of a model in each draw, mean over its seeds.

        Args:
            logits: (N,) of each seed.
        """
        cut = Slice(self._judge.label, {str(i): expit(x) for i, x in enumerate(logits)}, self._user, None, list(METRICS))
        drawn = _replicates(cut, self._weights).values()
        return {metric: np.mean([of_seed[metric] for of_seed in drawn], axis=0) for metric in METRICS}


def difference(values: Sequence[float], others: Sequence[float], drawn: np.ndarray, others_drawn: np.ndarray) -> dict[str, Any]:
    """A metric of a model less another model's, with its interval.

    Args:
        values: By seed.
        others: The other model's, by the same seeds.
        drawn: (R,) mean over the seeds, in each draw.
        others_drawn: The other model's.
    """
    low, high = _interval(drawn - others_drawn, CONFIDENCE)
    return {"difference": float(np.mean(np.subtract(values, others))), "low": low, "high": high}
