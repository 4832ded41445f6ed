"""AUC and average precision against scikit-learn, at any click rate and in any order of the rows."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from components.evaluation.metrics.auc import RANKED, level_counts

EXPECTED = {"auc": roc_auc_score, "pr_auc": average_precision_score}
PRECISE = {"auc": 1e-4, "pr_auc": 0.01}  # relative error; scores of one level are ties


def area(name, label, score):
    return float(RANKED[name](*level_counts(label, score)))


@pytest.mark.parametrize("rate", [0.5, 0.05, 0.001])
@pytest.mark.parametrize("name", RANKED)
def test_is_scikit_learn_s(name, rate):
    rng = np.random.default_rng(0)
    logit = rng.normal(np.log(rate / (1 - rate)), 1, size=200_000)
    score = 1 / (1 + np.exp(-logit))
    label = (rng.random(len(score)) < score).astype(np.float64)
    assert area(name, label, score) == pytest.approx(EXPECTED[name](label, score), rel=PRECISE[name])


@pytest.mark.parametrize("name", RANKED)
def test_ties_do_not_depend_on_the_order(name):
    """Half of the impressions have one score, as new items have."""
    rng = np.random.default_rng(0)
    label = rng.integers(2, size=10_000)
    score = np.where(rng.random(10_000) < 0.5, 0.3, rng.integers(1, 100, size=10_000) / 100)
    clicked_first = np.argsort(-label, kind="stable")
    expected = EXPECTED[name](label, score)
    assert area(name, label, score) == pytest.approx(expected, abs=1e-9)
    assert area(name, label[clicked_first], score[clicked_first]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", RANKED)
def test_what_cannot_be_ranked_is_nan(name):
    assert np.isnan(area(name, np.array([1.0, 1.0]), np.array([0.2, 0.4])))
    assert np.isnan(area(name, np.array([1.0, 0.0]), np.array([0.2, np.nan])))


def test_certain_scores_are_the_ends():
    assert area("auc", np.array([0.0, 1.0, 0.0]), np.array([0.0, 1.0, 1e-9])) == 1
