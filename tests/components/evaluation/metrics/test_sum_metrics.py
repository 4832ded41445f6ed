"""Every metric against scikit-learn or a plain loop, and from the sums of parts of the data."""

import numpy as np
import pytest
from sklearn import metrics

from components.evaluation.metrics.sum_metrics import ADDITIVE, Impressions, contributions
from tests.components.evaluation.metrics.test_gauc import user_by_user


def impressions(seed=0, count=3000):
    """Users in random order, each request of one user, scores with ties."""
    rng = np.random.default_rng(seed)
    request = rng.integers(600, size=count)
    user = request % 97
    score = rng.integers(1, 40, size=count) / 40
    label = (rng.random(count) < score * 0.6).astype(np.float64)
    label[user == 5] = 0
    return Impressions(label, score, user, request)


def value(name, x):
    return float(ADDITIVE[name].value(ADDITIVE[name].rows(x).sum(axis=0)))


def by_request(x, metric):
    """The mean of a metric over the requests with a click. Among equal scores clicks come last."""
    results = []
    for request in np.unique(x.request):
        rows = np.flatnonzero(x.request == request)
        if x.label[rows].any():
            ranked = sorted(rows, key=lambda row: (-x.score[row], x.label[row]))
            results.append(metric([x.label[row] for row in ranked]))
    return np.mean(results)


def reciprocal_rank(labels):
    return 1 / (labels.index(1.0) + 1)


def ndcg(labels, k=10):
    """The NDCG of scikit-learn, for labels in ranked order."""
    return metrics.ndcg_score([labels], [range(len(labels), 0, -1)], k=k) if len(labels) > 1 else 1.0


def calibration_error(x):
    edges = np.clip(np.floor(x.score * 10), 0, 9)
    bins = [edges == bin for bin in np.unique(edges)]
    return sum(abs(x.score[rows].mean() - x.label[rows].mean()) * rows.mean() for rows in bins)


def normalized_entropy(x):
    rate = x.label.mean()
    return metrics.log_loss(x.label, x.score) / metrics.log_loss(x.label, np.full(len(x.label), rate))


EXPECTED = {
    "example_count": lambda x: len(x.label),
    "log_loss": lambda x: metrics.log_loss(x.label, x.score),
    "normalized_entropy": normalized_entropy,
    "calibration": lambda x: x.score.sum() / x.label.sum(),
    "calibration_error": calibration_error,
    "accuracy": lambda x: metrics.accuracy_score(x.label, x.score > 0.5),
    "gauc": lambda x: user_by_user(x.user, x.score, x.label),
    "one_class_users": lambda x: np.mean([len(set(x.label[x.user == user])) == 1 for user in np.unique(x.user)]),
    "ndcg_10": lambda x: by_request(x, ndcg),
    "mrr": lambda x: by_request(x, reciprocal_rank),
}


@pytest.mark.parametrize("name", ADDITIVE)
def test_is_scikit_learn_s(name):
    x = impressions()
    assert value(name, x) == pytest.approx(EXPECTED[name](x), abs=1e-9)


@pytest.mark.parametrize("name", ADDITIVE)
def test_parts_with_whole_users_add_up(name):
    x = impressions()
    parts = [Impressions(*(column[x.user % 4 == part] for column in x)) for part in range(4)]
    sums = sum(ADDITIVE[name].rows(part).sum(axis=0) for part in parts)
    assert float(ADDITIVE[name].value(sums)) == pytest.approx(value(name, x), abs=1e-12)


def test_impressions_without_a_request_are_left_out():
    x = impressions()
    gone = x.request % 2 == 0
    rest = Impressions(*(column[~gone] for column in x))
    holes = x._replace(request=np.where(gone, -1, x.request))
    for name in ("ndcg_10", "mrr"):
        assert value(name, holes) == pytest.approx(value(name, rest), abs=1e-12)
        assert np.isnan(value(name, x._replace(request=np.full(len(gone), -1))))


@pytest.mark.parametrize("name", sorted(ADDITIVE.keys() - {"example_count"}))
def test_a_score_that_is_nan_leaves_no_metric(name):
    x = impressions()
    x.score[7] = np.nan
    assert np.isnan(ADDITIVE[name].value(contributions(name, x).sum(axis=0)))


def test_nothing_to_rank_is_nan():
    x = Impressions(np.zeros(4), np.array([0.1, 0.2, 0.3, 0.4]), np.array([1, 1, 2, 2]), np.array([1, 1, 2, 2]))
    assert np.isnan([value(name, x) for name in ("gauc", "ndcg_10", "mrr", "calibration", "normalized_entropy")]).all()
    assert value("one_class_users", x) == 1


def test_a_constant_score_gains_nothing_by_ties():
    """Two impressions, the clicked one second: NDCG 1/log2(3), reciprocal rank 1/2, AUC 1/2."""
    x = Impressions(np.array([1.0, 0.0]), np.array([0.5, 0.5]), np.array([1, 1]), np.array([1, 1]))
    assert (value("ndcg_10", x), value("mrr", x), value("gauc", x)) == pytest.approx((1 / np.log2(3), 0.5, 0.5))


def test_certain_scores_have_a_finite_loss():
    x = Impressions(np.array([1.0, 0.0]), np.array([0.0, 1.0]), None, None)
    assert value("log_loss", x) == pytest.approx(-np.log(np.finfo(np.float32).eps), rel=1e-6)
