"""Intervals against a plain loop over the same draws, and against a known true value."""

import numpy as np
import pytest
from sklearn import metrics

from components.evaluation.metrics.sum_metrics import ADDITIVE, Impressions
from components.evaluation.poisson_bootstrap import Slice, draw_weights, intervals

METRICS = ["auc", "pr_auc", "gauc", "log_loss", "calibration_error", "ndcg_10"]


def make_slice(seed=0, count=400, users=40, metrics=METRICS):
    rng = np.random.default_rng(seed)
    request = rng.integers(120, size=count)
    score = rng.integers(1, 20, size=count) / 20
    label = (rng.random(count) < score).astype(np.float64)
    other = np.clip(score + rng.normal(scale=0.2, size=count), 0.01, 0.99).round(2)
    return Slice(label, {"candidate": score, "baseline": other}, request % users, request, metrics)


def drawn_by_repetition(cut, model, draws):
    """The metrics of really repeated impressions. Each draw of a user is another user."""
    rows = np.repeat(np.arange(len(cut.label)), draws[cut.user])
    copy = np.concatenate([np.arange(draws[user]) for user in cut.user]) if len(rows) else rows
    label, score = cut.label[rows], cut.scores[model][rows]
    x = Impressions(label, score, cut.user[rows] * 100 + copy, cut.request[rows] * 100 + copy)
    ranked = {"auc": metrics.roc_auc_score, "pr_auc": metrics.average_precision_score}
    additive = {name: float(ADDITIVE[name].value(ADDITIVE[name].rows(x).sum(axis=0))) for name in METRICS if name in ADDITIVE}
    return {**{name: function(label, score) for name, function in ranked.items()}, **additive}


def test_is_the_same_as_a_loop_over_repeated_users():
    cut = make_slice()
    found = intervals([cut], 40, 50, 0.9, seed=3)[0]
    draws = np.concatenate(list(draw_weights(40, 50, seed=3)), axis=1).T  # (R, U)
    for name in METRICS:
        values = {model: np.array([drawn_by_repetition(cut, model, draw)[name] for draw in draws]) for model in cut.scores}
        for model in cut.scores:
            assert found[name][model] == pytest.approx(np.quantile(values[model], [0.05, 0.95]), abs=1e-9), name
        change = np.quantile(values["candidate"] - values["baseline"], [0.05, 0.95])
        assert found[name]["change"] == pytest.approx(change, abs=1e-9), name


def test_all_slices_use_the_same_draws():
    cut = make_slice()
    both = intervals([cut, cut], 40, 30, 0.95, seed=0)
    assert both[0] == both[1]


def test_one_model_has_no_change():
    cut = make_slice()._replace(scores={"candidate": make_slice().scores["candidate"]})
    assert set(intervals([cut], 40, 20, 0.95, seed=0)[0]["auc"]) == {"candidate"}


def test_no_replicates_are_no_intervals():
    assert intervals([make_slice()], 40, 0, 0.95, seed=0)[0]["auc"]["candidate"] == (None, None)


@pytest.mark.parametrize("spread", [1e-6, 0.2, 40])
def test_intervals_are_exact_at_any_spread(spread):
    """Case 15: scores that lie close together, with 5,000 different ones, in a loop over the scores themselves."""
    rng = np.random.default_rng(0)
    quality, user = rng.random(5000), rng.integers(300, size=5000)
    score = 1 / (1 + np.exp(-(quality - 0.5) * spread))
    label = (rng.random(5000) < 0.3 * quality).astype(np.float64)
    found = intervals([Slice(label, {"candidate": score}, user, None, ["auc", "pr_auc"])], 300, 60, 0.9, seed=1)[0]
    draws = np.concatenate(list(draw_weights(300, 60, seed=1)), axis=1).T
    for name, function in (("auc", metrics.roc_auc_score), ("pr_auc", metrics.average_precision_score)):
        values = [function(label, quality, sample_weight=draw[user]) for draw in draws]
        assert found[name]["candidate"] == pytest.approx(np.quantile(values, [0.05, 0.95]), abs=1e-9)


def test_replicates_in_small_chunks_are_the_same(monkeypatch):
    cut = make_slice()
    whole = intervals([cut], 40, 30, 0.95, seed=0)[0]
    monkeypatch.setattr("components.evaluation.poisson_bootstrap._CELLS", 1)
    chunked = intervals([cut], 40, 30, 0.95, seed=0)[0]
    for name in METRICS:
        for ends in whole[name]:
            assert chunked[name][ends] == pytest.approx(whole[name][ends], abs=1e-12), name


def test_few_users_have_no_interval():
    """Few users say nothing about other users."""
    cut = make_slice()
    assert intervals([cut._replace(user=cut.user % 9)], 9, 50, 0.95, seed=0)[0]["auc"]["candidate"] == (None, None)
    assert intervals([cut._replace(user=cut.user % 10)], 10, 50, 0.95, seed=0)[0]["auc"]["candidate"] != (None, None)


def test_an_interval_needs_most_of_its_replicates():
    """There is one click, so a third of the draws have none."""
    cut = make_slice()
    label = np.zeros(len(cut.label))
    label[0] = 1
    assert intervals([cut._replace(label=label)], 40, 100, 0.95, seed=0)[0]["auc"]["candidate"] == (None, None)


def test_a_model_without_scores_has_no_interval():
    cut = make_slice()
    found = intervals([cut._replace(scores={"candidate": np.full(len(cut.label), np.nan)})], 40, 20, 0.95, seed=0)[0]
    assert {ends["candidate"] for ends in found.values()} == {(None, None)}


def test_one_class_has_no_interval():
    cut = make_slice()
    found = intervals([cut._replace(label=np.zeros(len(cut.label)))], 40, 20, 0.95, seed=0)[0]
    assert found["auc"]["candidate"] == found["gauc"]["candidate"] == (None, None)


def test_covers_the_truth_as_often_as_it_says():
    """Click rates differ between users, so impressions are not independent. 200 data sets; a 90 % interval of the calibration of each."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        rate = rng.beta(2, 2, size=60)
        user = np.repeat(np.arange(60), 10)
        label = (rng.random(600) < rate[user]).astype(np.float64)
        cut = Slice(label, {"candidate": np.full(600, 0.5)}, user, None, ["calibration"])
        low, high = intervals([cut], 60, 200, 0.9, seed=0)[0]["calibration"]["candidate"]
        covered += low <= 1 <= high  # the true rate is 0.5
    assert 0.83 <= covered / 200 <= 0.96  # 0.9, within three standard deviations
