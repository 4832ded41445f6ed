"""Computes confidence intervals of metrics by the Poisson bootstrap over users, for all replicates at once.

The impressions of one user are not independent, so users are drawn, each with all impressions (the cluster bootstrap: Davison & Hinkley,
1997, section 3.8). How often a user is drawn is Poisson(1) (Chamandy et al., 2012). Both models and all slices use the same draws, so the
difference between two models has its own interval, which is narrow if the models are similar.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy import sparse

from components.base.cores import usable_cores
from components.evaluation.metrics.auc import RANKED, areas, score_levels
from components.evaluation.metrics.sum_metrics import ADDITIVE, Impressions, contributions

_FEWEST_USERS = 10  # a slice with fewer users says nothing about other users
DEFINED = 0.9  # the share of the replicates in which a metric must be defined
_CHUNK = 1_000_000  # weights in one array
_CELLS = 100_000  # levels times replicates in one array: small enough for the processor's cache


class Slice(NamedTuple):
    """The impressions of a slice.

    Attributes:
        label: (N,), 0 or 1.
        scores: (N,) by model.
        user: (N,), the number of the user, from 0, the same in all slices.
        request: (N,), the number of the request; None if the data has no requests.
        metrics: The names of the metrics to compute.
    """

    label: np.ndarray
    scores: dict[str, np.ndarray]
    user: np.ndarray
    request: np.ndarray | None
    metrics: list[str]


class _Ranking:
    """Counts clicks and other impressions of a slice by score level (S levels) and user (U users).

    Args:
        label: (N,), as in `Slice`.
        score: (N,).
        user: (N,), numbers from 0 to U − 1.
    """

    def __init__(self, label: np.ndarray, score: np.ndarray, user: np.ndarray):
        self._unknown = bool(np.isnan(score).any())
        level = score_levels(label, np.nan_to_num(score))
        shape, clicked = (int(level.max()) + 1, int(user.max()) + 1), label > 0
        self._others, self._clicks = (
            sparse.csr_array((np.ones(rows.sum()), (level[rows], user[rows])), shape) for rows in (~clicked, clicked)
        )  # (S, U)

    def metrics(self, drawn: np.ndarray) -> dict[str, np.ndarray]:
        """The areas under curves, from how often each user is drawn: (U, R) -> (R,) by metric."""
        replicates = drawn.shape[1]
        if self._unknown:
            return dict.fromkeys(RANKED, np.full(replicates, np.nan))
        at_once = max(1, _CELLS // self._clicks.shape[0])
        chunks = [np.ascontiguousarray(drawn[:, start : start + at_once]) for start in range(0, replicates, at_once)]
        parts = [areas(self._others @ chunk, self._clicks @ chunk) for chunk in chunks]
        return {name: np.concatenate([part[name] for part in parts]) for name in RANKED}


class _Sums:
    """The sums that each user adds to the additive metrics of a slice.

    Args:
        impressions: The impressions of the slice.
        metrics: Names of metrics. Those that are not additive are ignored.
        user: (N,), numbers from 0 to U − 1.
    """

    def __init__(self, impressions: Impressions, metrics: list[str], user: np.ndarray):
        self._by_user = {}
        for name in (name for name in metrics if name in ADDITIVE):
            sums = np.stack([np.bincount(user, column) for column in contributions(name, impressions).T])  # (K, U)
            self._by_user[name] = sparse.csr_array(sums)  # the threads of a dense product would wait for each other

    def metrics(self, drawn: np.ndarray) -> dict[str, np.ndarray]:
        """The metrics, from how often each user is drawn: (U, R) -> (R,) by metric."""
        return {name: ADDITIVE[name].value((sums @ drawn).T) for name, sums in self._by_user.items()}


def replicates_of(cut: Slice, weights: list[np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Computes each metric in each replicate.

    Args:
        cut: A slice.
        weights: From `draw_weights`.

    Returns:
        By model and metric: (R,), empty if the slice has fewer than ten users.
    """
    users, user = np.unique(cut.user, return_inverse=True)
    if len(users) < _FEWEST_USERS:
        return {model: dict.fromkeys(cut.metrics, np.empty(0)) for model in cut.scores}
    return _compute(cut, user, (chunk[users].astype(np.float64) for chunk in weights))


def point_values(cut: Slice) -> dict[str, dict[str, float]]:
    """Computes each metric by model, with each user once. A metric is NaN where it is not defined."""
    users, user = np.unique(cut.user, return_inverse=True)
    found = _compute(cut, user, [np.ones((len(users), 1))])
    return {model: {name: float(values[0]) for name, values in metrics.items()} for model, metrics in found.items()}


def _compute(cut: Slice, user: np.ndarray, draws: Iterable[np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Computes each metric in each replicate.

    Args:
        cut: A slice.
        user: (N,), numbers from 0 to U − 1.
        draws: How often each user is drawn: (U, some replicates) each.
    """
    counted = {
        model: (_Sums(Impressions(cut.label, score, cut.user, cut.request), cut.metrics, user), _Ranking(cut.label, score, user))
        for model, score in cut.scores.items()
    }
    parts: dict[str, list[dict[str, np.ndarray]]] = {model: [] for model in counted}
    for drawn in draws:
        for model, (sums, ranking) in counted.items():
            parts[model].append({**sums.metrics(drawn), **ranking.metrics(drawn)})
    return {
        model: {name: np.concatenate([np.empty(0), *(part[name] for part in found)]) for name in cut.metrics}
        for model, found in parts.items()
    }


def draw_weights(users: int, replicates: int, seed: int) -> Iterator[np.ndarray]:
    """Yields how often each user is drawn, for some replicates at a time: (users, some replicates), Poisson(1).

    Args:
        users: The number of users.
        replicates: The number of replicates over all yielded arrays.
        seed: The seed of the draws.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, _CHUNK // max(users, 1))
    for start in range(0, replicates, at_once):
        yield rng.poisson(1.0, (users, min(at_once, replicates - start))).astype(np.uint8)


def _interval(values: np.ndarray, confidence: float) -> tuple[float | None, float | None]:
    defined = values[~np.isnan(values)]
    if not len(values) or len(defined) < DEFINED * len(values):
        return None, None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


Interval = dict[str, tuple[float | None, float | None]]  # by "candidate", "baseline", "change"


def intervals(slices: list[Slice], users: int, replicates: int, confidence: float, seed: int) -> list[dict[str, Interval]]:
    """Percentile intervals of each metric of each slice.

    Args:
        slices: Slices with the scores of the model `candidate` and, if there is one, of the model `baseline`.
        users: The number of users in all slices together.
        replicates: The number of draws. They are kept in memory: one byte for each user and draw.
        confidence: The two-sided confidence: 0.95 leaves out 2.5 % at each end.
        seed: The seed of the draws.

    Returns:
        For each slice, by metric: the ends of the interval of each model, and of the candidate less the baseline. The ends are None if the
        slice has fewer than ten users or the metric is undefined in more than a tenth of the replicates.
    """
    weights = list(draw_weights(users, replicates, seed))
    with ThreadPoolExecutor(usable_cores()) as pool:  # each slice in work takes memory
        drawn = list(pool.map(lambda cut: replicates_of(cut, weights), slices))
    return [{name: _intervals_of(models, name, confidence) for name in cut.metrics} for cut, models in zip(slices, drawn, strict=True)]


def _intervals_of(models: dict[str, dict[str, np.ndarray]], metric: str, confidence: float) -> Interval:
    result = {model: _interval(values[metric], confidence) for model, values in models.items()}
    if "baseline" in models:
        result["change"] = _interval(models["candidate"][metric] - models["baseline"][metric], confidence)
    return result
