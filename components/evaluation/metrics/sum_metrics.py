"""Metrics that follow from sums over impressions, users or requests.

Each is written once, as what every impression adds and what the sums say: TFMA adds up over shards, the bootstrap over resampled users.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from components.evaluation.metrics.gauc import user_aucs

_BINS = 10  # of the calibration error, of equal width
_EPSILON = np.finfo(np.float32).eps  # a float32 probability may be 0 or 1


class Impressions(NamedTuple):
    """Scored impressions, each field (N,); every user and request with all of its impressions.

    Attributes:
        label: 0 or 1.
        score: Probability.
        user: Ids of any kind; None where the data has none.
        request: Numbers of those that were shown together, −1 where that is not known; None where the data has none.
    """

    label: np.ndarray
    score: np.ndarray
    user: np.ndarray | None
    request: np.ndarray | None


class Additive(NamedTuple):
    """A metric made of sums.

    Attributes:
        rows: What each impression adds: (N,) fields -> (N, K). What a user or request adds stands at one of its impressions.
        value: The metric of the sums: (..., K) -> (...), NaN where it is not defined.
        group: What must be whole.
    """

    rows: Callable[[Impressions], np.ndarray]
    value: Callable[[np.ndarray], np.ndarray]
    group: str = ""


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(np.shape(bottom), np.nan), where=np.asarray(bottom) != 0)


def _losses(x: Impressions) -> np.ndarray:
    p = np.clip(x.score, _EPSILON, 1 - _EPSILON)
    return -np.where(x.label > 0, np.log(p), np.log1p(-p))


def _columns(*columns: np.ndarray | float, like: np.ndarray) -> np.ndarray:
    return np.stack([np.broadcast_to(column, like.shape) for column in columns], axis=1).astype(np.float64)


def _base_entropy(sums: np.ndarray) -> np.ndarray:
    """Log loss of the base rate, from sums whose first two are impressions and clicks."""
    rate = _ratio(sums[..., 1], sums[..., 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -rate * np.log(rate) - (1 - rate) * np.log1p(-rate)
    return np.nan_to_num(entropy)  # with one class there is none


def _calibration_errors(x: Impressions) -> np.ndarray:
    """What each impression adds to Σ(predicted − clicked) of its bin, and to the count."""
    rows = np.zeros((len(x.label), _BINS + 1))
    rows[np.arange(len(rows)), np.minimum((x.score * _BINS).astype(int), _BINS - 1)] = x.score - x.label
    rows[:, _BINS] = 1
    return rows


def _user_rows(x: Impressions) -> np.ndarray:
    """Of each user, at one of its rows: Σ impressions · AUC, impressions, whether it has one class only, and 1."""
    assert x.user is not None
    rows = np.zeros((len(x.label), 4))
    at, size, auc = user_aucs(x.user, x.score, x.label)
    skipped = np.isnan(auc)
    rows[at] = np.stack([np.where(skipped, 0, size * auc), np.where(skipped, 0, size), skipped, np.ones(len(at))], axis=1)
    return rows


def _positions(x: Impressions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Impressions by request, the best score first, equal scores with the clicked one last, so that no model gains by ties.

    Returns:
        Of the M impressions whose request is known: their order (M,), the position of each within its request from 0 (M,), and where each
        request begins (R,).
    """
    assert x.request is not None
    order = np.lexsort((x.label, -x.score, x.request))
    order = order[x.request[order] >= 0]
    start = np.flatnonzero(np.append(True, np.diff(x.request[order]) != 0)) if len(order) else order
    return order, np.arange(len(order)) - np.repeat(start, np.diff(start, append=len(order))), start


def _reduce(how: np.ufunc, values: np.ndarray, start: np.ndarray) -> np.ndarray:
    return how.reduceat(values, start) if len(start) else np.zeros(0)


def _at_requests(x: Impressions, order: np.ndarray, start: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Σ values and the count of the requests that have a click, at the first impression of each."""
    clicked = _reduce(np.add, x.label[order], start) > 0
    rows = np.zeros((len(x.label), 2))
    rows[order[start]] = np.stack([np.where(clicked, values, 0), clicked], axis=1)
    return rows


def _ndcg_rows(x: Impressions, k: int = 10) -> np.ndarray:
    """NDCG@k with clicks as gains (Järvelin & Kekäläinen, 2002)."""
    order, position, start = _positions(x)
    discount = np.where(position < k, 1 / np.log2(position + 2), 0)
    clicks = _reduce(np.add, x.label[order], start)
    best = np.append(0, np.cumsum(1 / np.log2(np.arange(k) + 2)))[np.minimum(clicks, k).astype(int)]
    return _at_requests(x, order, start, _ratio(_reduce(np.add, discount * x.label[order], start), best))


def _mrr_rows(x: Impressions) -> np.ndarray:
    """Reciprocal rank of the first click of each request."""
    order, position, start = _positions(x)
    return _at_requests(x, order, start, _reduce(np.maximum, x.label[order] / (position + 1), start))


ADDITIVE = {
    "example_count": Additive(lambda x: _columns(1, like=x.label), lambda s: s[..., 0]),
    "log_loss": Additive(lambda x: _columns(1, _losses(x), like=x.label), lambda s: _ratio(s[..., 1], s[..., 0])),
    "normalized_entropy": Additive(
        lambda x: _columns(1, x.label, _losses(x), like=x.label), lambda s: _ratio(s[..., 2], s[..., 0] * _base_entropy(s))
    ),
    "calibration": Additive(lambda x: _columns(x.score, x.label, like=x.label), lambda s: _ratio(s[..., 0], s[..., 1])),
    "calibration_error": Additive(_calibration_errors, lambda s: _ratio(np.abs(s[..., :_BINS]).sum(-1), s[..., _BINS])),
    "accuracy": Additive(
        lambda x: _columns(1, (x.score > 0.5) == (x.label > 0), like=x.label), lambda s: _ratio(s[..., 1], s[..., 0])
    ),
    "gauc": Additive(_user_rows, lambda s: _ratio(s[..., 0], s[..., 1]), "user"),
    "one_class_users": Additive(_user_rows, lambda s: _ratio(s[..., 2], s[..., 3]), "user"),
    "ndcg_10": Additive(_ndcg_rows, lambda s: _ratio(s[..., 0], s[..., 1]), "request"),
    "mrr": Additive(_mrr_rows, lambda s: _ratio(s[..., 0], s[..., 1]), "request"),
}  # fmt: skip


def contributions(metric: str, x: Impressions) -> np.ndarray:
    """`rows` of a metric, all NaN where a score is, so that no metric has a value then."""
    unknown = np.isnan(x.score)
    rows = ADDITIVE[metric].rows(x._replace(score=np.where(unknown, 0, x.score)))
    return np.full_like(rows, np.nan) if unknown.any() else rows
