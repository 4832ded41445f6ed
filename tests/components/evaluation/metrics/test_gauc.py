"""GAUC against scikit-learn, user by user."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from components.evaluation.metrics.gauc import gauc, user_aucs


def user_by_user(user, score, label):
    groups = [user == u for u in np.unique(user) if len(set(label[user == u])) == 2]
    return np.average([roc_auc_score(label[g], score[g]) for g in groups], weights=[g.sum() for g in groups])


def impressions(seed, users=200, count=5000):
    """Users with very different numbers of impressions, in random order; scores with ties; some users with one class."""
    rng = np.random.default_rng(seed)
    user = np.minimum(rng.geometric(0.03, count), users)
    label = rng.integers(2, size=count)
    label[user % 7 == 0] = 0
    label[user % 7 == 1] = 1
    return user, rng.integers(20, size=count) / 20, label


@pytest.mark.parametrize("seed", range(5))
def test_is_the_mean_of_scikit_learn_s_aucs(seed):
    user, score, label = impressions(seed)
    assert gauc(user, score, label) == pytest.approx(user_by_user(user, score, label), abs=1e-9)


def test_users_may_be_bytes():
    user, score, label = impressions(0)
    names = np.array([b"user %d" % u for u in user], object)
    assert gauc(names, score, label) == pytest.approx(gauc(user, score, label), abs=1e-12)


def test_by_hand():
    """User 1: 3 of 4 pairs in order and 4 impressions; user 2: one pair, tied; user 3 has one class."""
    user = np.array([3, 1, 2, 1, 1, 2, 1])
    score = np.array([0.9, 0.1, 0.5, 0.3, 0.2, 0.5, 0.4])
    label = np.array([1, 0, 1, 0, 1, 0, 1])
    assert gauc(user, score, label) == pytest.approx((4 * 0.75 + 2 * 0.5) / 6)


def test_one_user_is_the_plain_auc():
    _, score, label = impressions(1)
    assert gauc(np.zeros(len(score)), score, label) == pytest.approx(roc_auc_score(label, score), abs=1e-9)


def test_nobody_has_both_classes():
    assert gauc(np.array([1, 2]), np.array([0.5, 0.5]), np.array([0, 1])) is None


def test_user_by_user():
    users = user_aucs(np.array([7, 3, 7, 3]), np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 1, 1, 1]))
    assert users.size.tolist() == [2, 2]
    assert np.isnan(users.auc[0]) and users.auc[1] == 1
    assert users.row[0] in (1, 3) and users.row[1] in (0, 2)
