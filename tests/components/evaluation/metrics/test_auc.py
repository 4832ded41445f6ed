"""AUC and average precision against scikit-learn, at any spread of the scores (case 15: close scores must not become ties)."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from components.evaluation.metrics.auc import areas, level_counts, score_levels


def float_neighbours(rng):
    """Scores of which each is the float32 next to another one."""
    return (np.float32(0.3).view(np.int32) + rng.integers(50, size=20_000)).astype(np.int32).view(np.float32)


def sigmoid(logit):
    return 1 / (1 + np.exp(-logit))


SCORES = {
    "logits over 1e-6": lambda rng: sigmoid(-2 + rng.uniform(0, 1e-6, 20_000)).astype(np.float32),
    "logits over 0.2": lambda rng: sigmoid(-2 + rng.uniform(0, 0.2, 20_000)).astype(np.float32),
    "logits over 40": lambda rng: sigmoid(rng.uniform(-20, 20, 20_000)).astype(np.float32),
    "logits over 200": lambda rng: sigmoid(rng.uniform(-100, 100, 20_000)),
    "two far clusters": lambda rng: sigmoid(rng.choice([-15.0, 15.0], 20_000) + rng.uniform(0, 1e-3, 20_000)),
    "float32 neighbours": float_neighbours,
    "double precision, 1e-12 apart": lambda rng: 0.5 + rng.integers(5000, size=20_000) * 1e-12,
    "ties": lambda rng: rng.integers(10, size=20_000) / 10,
    "one score": lambda rng: np.full(20_000, 0.3, np.float32),
    "certain scores": lambda rng: rng.choice([0.0, 1.0, 1e-30, 0.5], 20_000),
    "negative zero": lambda rng: rng.choice([0.0, -0.0, 0.5], 20_000),
}


@pytest.mark.parametrize("rate", [0.5, 0.02, 0.0005])
@pytest.mark.parametrize("spread", SCORES)
def test_is_scikit_learn_s_at_any_spread(spread, rate):
    rng = np.random.default_rng(0)
    score = SCORES[spread](rng)
    rank = np.unique(score, return_inverse=True)[1] / len(score)
    label = (rng.random(len(score)) < rate * (0.5 + rank)).astype(np.float64)
    found = areas(*level_counts(label, score))
    # scikit-learn gets the ranks: it may take very close scores as equal
    assert found["auc"] == pytest.approx(roc_auc_score(label, rank), abs=1e-12)
    assert found["pr_auc"] == pytest.approx(average_precision_score(label, rank), abs=1e-12)


def test_by_hand():
    """Of 2 · 3 pairs 3 are in order and one is tied. The clicks have 1 of 2 and 2 of 4 impressions above or beside them."""
    label, score = np.array([0, 1, 0, 1, 0]), np.array([0.9, 0.5, 0.5, 0.7, 0.1])
    found = areas(*level_counts(label, score))
    assert (found["auc"], found["pr_auc"]) == pytest.approx((3.5 / 6, (1 / 2 + 2 / 4) / 2))


def test_levels_are_few_if_clicks_are_rare():
    label, score = np.array([0, 0, 1, 0, 0, 0, 1, 1, 0]), np.arange(9) / 10
    assert score_levels(label, score).tolist() == [5, 5, 4, 3, 3, 3, 2, 1, 0]


def test_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(0)
    label, score = rng.integers(2, size=10_000), rng.random(10_000).round(3)
    shuffled = rng.permutation(10_000)
    assert areas(*level_counts(label, score)) == areas(*level_counts(label[shuffled], score[shuffled]))


@pytest.mark.parametrize("name", ["auc", "pr_auc"])
def test_what_cannot_be_ranked_is_nan(name):
    assert np.isnan(areas(*level_counts(np.array([1.0, 1.0]), np.array([0.2, 0.4])))[name])
    assert np.isnan(areas(*level_counts(np.array([0.0, 0.0]), np.array([0.2, 0.4])))[name])
    assert np.isnan(areas(*level_counts(np.array([1.0, 0.0]), np.array([0.2, np.nan])))[name])
    assert np.isnan(areas(*level_counts(np.zeros(0), np.zeros(0)))[name])
