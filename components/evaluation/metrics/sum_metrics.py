"""Computes the metrics that follow from sums over impressions, users or requests: log loss, calibration, accuracy, GAUC, NDCG, MRR.

Each is written once, as what an impression adds to the sums and how the metric follows from them. TFMA adds up over shards, the bootstrap
over the users that it draws.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from components.evaluation.metrics.gauc import user_aucs

_BINS = 10  # for the calibration error, of equal width
_EPSILON = np.finfo(np.float32).eps  # a float32 probability may be 0 or 1


class Impressions(NamedTuple):
    """Scored impressions. Each field is (N,). All impressions of a user and of a request must be among them.

    Attributes:
        label: 0 or 1.
        score: Probability.
        user: User ids of any type; None if the data has none.
        request: The number of the request, the same for impressions that were shown together, −1 where it is not known; None if the data
            has no requests.
    """

    label: np.ndarray
    score: np.ndarray
    user: np.ndarray | None
    request: np.ndarray | None


class Additive(NamedTuple):
    """A metric made of sums.

    Attributes:
        rows: What each impression adds to K sums: (N, K). What a user or request adds is in the row of one of its impressions.
        value: The metric from the sums: (..., K) -> (...), NaN where it is not defined.
        group: `user` or `request` if all impressions of one must be in the same input; otherwise empty.
    """

    rows: Callable[[Impressions], np.ndarray]
    value: Callable[[np.ndarray], np.ndarray]
    group: str = ""


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(np.shape(bottom), np.nan), where=np.asarray(bottom) != 0)


def _losses(x: Impressions) -> np.ndarray:
    p = np.clip(x.score, _EPSILON, 1 - _EPSILON)
    return -np.where(x.label > 0, np.log(p), np.log1p(-p))


def _columns(x: Impressions, *columns: np.ndarray | float) -> np.ndarray:
    return np.stack([np.broadcast_to(column, x.label.shape) for column in columns], axis=1).astype(np.float64)


def _ratio_of(top: int, bottom: int) -> Callable[[np.ndarray], np.ndarray]:
    """The metric that is the ratio of two of its sums."""
    return lambda sums: _ratio(sums[..., top], sums[..., bottom])


def _normalized_entropy(sums: np.ndarray) -> np.ndarray:
    """The log loss divided by that of always predicting the base rate, from Σ loss, clicks and impressions."""
    loss, clicks, impressions = np.moveaxis(sums, -1, 0)
    rate = _ratio(clicks, impressions)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -rate * np.log(rate) - (1 - rate) * np.log1p(-rate)
    return _ratio(loss, impressions * np.nan_to_num(entropy))  # with one class the entropy is 0


def _calibration_errors(x: Impressions) -> np.ndarray:
    """Each impression adds (predicted − clicked) to the sum of its bin, and 1 to the count."""
    rows = np.zeros((len(x.label), _BINS + 1))
    rows[np.arange(len(rows)), np.minimum((x.score * _BINS).astype(int), _BINS - 1)] = x.score - x.label
    rows[:, _BINS] = 1
    return rows


def _user_rows(x: Impressions) -> np.ndarray:
    """Each user adds impressions · AUC, impressions, 1 if it has one class only, and 1. The first two are 0 for a user with one class."""
    assert x.user is not None
    rows = np.zeros((len(x.label), 4))
    at, size, auc = user_aucs(x.user, x.score, x.label)
    skipped = np.isnan(auc)
    rows[at] = np.stack([np.where(skipped, 0, size * auc), np.where(skipped, 0, size), skipped, np.ones(len(at))], axis=1)
    return rows


def _positions(x: Impressions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sorts the M impressions that have a request by request and falling score. Among equal scores clicks come last: ties gain nothing.

    Returns:
        The row numbers in this order (M,), the position of each within its request, from 0 (M,), and where each of R requests begins (R,).
    """
    assert x.request is not None
    order = np.lexsort((x.label, -x.score, x.request))
    order = order[x.request[order] >= 0]
    start = np.flatnonzero(np.append(True, np.diff(x.request[order]) != 0)) if len(order) else order
    return order, np.arange(len(order)) - np.repeat(start, np.diff(start, append=len(order))), start


def _reduce(how: np.ufunc, values: np.ndarray, start: np.ndarray) -> np.ndarray:
    return how.reduceat(values, start) if len(start) else np.zeros(0)


def _at_requests(x: Impressions, order: np.ndarray, start: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Each request with a click adds its value and 1, in the row of its first impression."""
    clicked = _reduce(np.add, x.label[order], start) > 0
    rows = np.zeros((len(x.label), 2))
    rows[order[start]] = np.stack([np.where(clicked, values, 0), clicked], axis=1)
    return rows


def _ndcg_rows(x: Impressions, k: int = 10) -> np.ndarray:
    """Each request with a click adds its NDCG@k, with clicks as gains (Järvelin & Kekäläinen, 2002), and 1."""
    order, position, start = _positions(x)
    discount = np.where(position < k, 1 / np.log2(position + 2), 0)
    clicks = _reduce(np.add, x.label[order], start)
    best = np.append(0, np.cumsum(1 / np.log2(np.arange(k) + 2)))[np.minimum(clicks, k).astype(int)]
    return _at_requests(x, order, start, _ratio(_reduce(np.add, discount * x.label[order], start), best))


def _mrr_rows(x: Impressions) -> np.ndarray:
    """Each request with a click adds the reciprocal rank of its first click, and 1."""
    order, position, start = _positions(x)
    return _at_requests(x, order, start, _reduce(np.maximum, x.label[order] / (position + 1), start))


ADDITIVE = {
    "example_count": Additive(lambda x: _columns(x, 1), lambda sums: sums[..., 0]),
    "log_loss": Additive(lambda x: _columns(x, _losses(x), 1), _ratio_of(0, 1)),
    "normalized_entropy": Additive(lambda x: _columns(x, _losses(x), x.label, 1), _normalized_entropy),
    "calibration": Additive(lambda x: _columns(x, x.score, x.label), _ratio_of(0, 1)),
    "calibration_error": Additive(_calibration_errors, lambda sums: _ratio(np.abs(sums[..., :_BINS]).sum(-1), sums[..., _BINS])),
    "accuracy": Additive(lambda x: _columns(x, (x.score > 0.5) == (x.label > 0), 1), _ratio_of(0, 1)),
    "gauc": Additive(_user_rows, _ratio_of(0, 1), "user"),
    "one_class_users": Additive(_user_rows, _ratio_of(2, 3), "user"),
    "ndcg_10": Additive(_ndcg_rows, _ratio_of(0, 1), "request"),
    "mrr": Additive(_mrr_rows, _ratio_of(0, 1), "request"),
}


def contributions(metric: str, x: Impressions) -> np.ndarray:
    """The `rows` of a metric. All are NaN if a score is NaN, so that the metric is then not defined."""
    unknown = np.isnan(x.score)
    rows = ADDITIVE[metric].rows(x._replace(score=np.where(unknown, 0, x.score)))
    return np.full_like(rows, np.nan) if unknown.any() else rows
