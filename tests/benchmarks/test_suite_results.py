"""Intervals beside a plain loop, claims and tables worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks.judging import EvalSplit
from benchmarks.paired import Draws, difference
from benchmarks.suite import SuiteData
from benchmarks.suite_data import Imported
from benchmarks.suite_results import Claim, results_of_data
from benchmarks.suite_rows import Row
from benchmarks.suite_tables import claim_text, difference_text, to_markdown
from pipeline.gauc import gauc

REPLICATES = 60
RNG = np.random.default_rng(1)
USERS, EACH = 30, 8
USER = np.repeat(np.arange(USERS), EACH)
LABEL = RNG.integers(0, 2, USERS * EACH)
JUDGE = EvalSplit(LABEL, USER)
BETTER, WORSE = (  # to one digit: the bootstrap tells logits apart to about 0.01
    [np.round(RNG.normal(size=len(LABEL)) + strength * LABEL, 1) for _ in range(2)] for strength in (1.5, 0.5)
)


def by_a_loop(metric):
    """Of each draw, the mean over the seeds of the better model's less the worse one's."""
    drawn = np.random.default_rng(0).poisson(1.0, (USERS, REPLICATES))
    result = []
    for draw in drawn.T:
        rows = np.concatenate([np.flatnonzero(np.equal(USER, user)) for user in range(USERS) for _ in range(draw[user])])
        copy = np.concatenate([np.full(EACH, number) for number in range(draw.sum())])  # a user drawn twice is two users
        differences = [
            roc_auc_score(LABEL[rows], a[rows]) - roc_auc_score(LABEL[rows], b[rows])
            if metric == "auc"
            else gauc(copy, a[rows], LABEL[rows]) - gauc(copy, b[rows], LABEL[rows])
            for a, b in zip(BETTER, WORSE, strict=True)
        ]
        result.append(np.mean(differences))
    return np.array(result)


@pytest.mark.parametrize("metric", ["auc", "gauc"])
def test_intervals_are_those_of_a_plain_loop(metric):
    draws = Draws(JUDGE, REPLICATES)
    found = difference([0.75, 0.85], [0.5, 0.7], draws.of(BETTER)[metric], draws.of(WORSE)[metric])
    low, high = np.quantile(by_a_loop(metric), [0.025, 0.975])
    assert found == {"difference": pytest.approx(0.2), "low": pytest.approx(low), "high": pytest.approx(high)}


def test_without_users_impressions_are_drawn():
    draws = Draws(EvalSplit(LABEL, None), REPLICATES)
    assert draws.of(BETTER)["auc"].shape == (REPLICATES,)
    assert np.isnan(draws.of(BETTER)["gauc"]).all()


@pytest.mark.parametrize(
    ("low", "high", "strict", "loose"),
    [
        (0.001, 0.02, "confirmed", "confirmed"),
        (0.0, 0.02, "not decided", "confirmed"),
        (-0.01, 0.02, "not decided", "not decided"),
        (-0.01, 0.0, "contradicted", "not decided"),
        (-0.02, -0.001, "contradicted", "contradicted"),
        (0.0, 0.0, "contradicted", "confirmed"),
        (None, None, "not decided", "not decided"),
    ],
)
def test_a_claim_is_judged_by_the_interval_alone(low, high, strict, loose):
    assert Claim("", "a", "b").verdict(low, high) == strict
    assert Claim("", "a", "b", strictly=False).verdict(low, high) == loose


def row(logits, auc, gauc, log_loss, best_epoch, seconds):
    return Row({"auc": auc, "gauc": gauc, "log_loss": log_loss, "best_epoch": best_epoch, "seconds": seconds}, logits)


@pytest.fixture(scope="module")
def results():
    data = SuiteData(
        name="ml", title="A data set", importer="movielens", source="ml", config="movielens", settings=("training.epochs=3",),
        published="AUC 0.7 elsewhere",
    )  # fmt: skip
    rows = {
        "base": [row(WORSE[0], 0.70, 0.60, 0.5, 1, 10.0), row(WORSE[1], 0.74, 0.60, 0.5, 2, 20.0)],
        "din": [row(BETTER[0], 0.80, 0.70, 0.4, 3, 30.0), row(BETTER[1], 0.80, 0.66, 0.4, 3, 50.0)],
    }
    manifest = {"source": "movielens", "command": "typed", "base_rate": {"train": 0.25}, "dropped": {}}
    found = results_of_data(data, ["model.dropout=0"], Imported(None, manifest, "abc"), JUDGE, rows)
    return {
        "suite": "mine", "command": "din bench quality --suite mine", "seeds": [0, 1], "versions": {"keras": "3.1"}, "data": [found],
        "not_run": [{"what": "Taobao", "why": "x.csv is not there."}],
    }  # fmt: skip


def test_figures_by_hand(results):
    base, din = results["data"][0]["models"]
    assert base["auc"]["mean"] == pytest.approx(0.72) and base["auc"]["sd"] == pytest.approx(0.04 / 2**0.5)
    assert base["rela_impr"] == {"auc": 0.0, "gauc": 0.0}
    assert din["rela_impr"] == {"auc": pytest.approx(0.30 / 0.22 - 1), "gauc": pytest.approx(0.18 / 0.10 - 1)}
    assert base["less_din"]["auc"]["difference"] == pytest.approx(-0.08)
    assert base["less_din"]["gauc"]["difference"] == pytest.approx(-0.08)
    assert din["less_din"] == {"auc": None, "gauc": None}
    assert (base["seconds"], din["best_epochs"]) == (15.0, [3, 3])
    assert results["data"][0]["configuration"]["training"]["epochs"] == 3
    assert results["data"][0]["configuration"]["model"]["dropout"] == 0


def test_only_claims_whose_models_were_trained_are_judged(results):
    (claim,) = results["data"][0]["claims"]
    assert (claim["claim"], claim["better"], claim["worse"], claim["verdict"]) == ("Base < DIN", "din", "base", "confirmed")
    assert claim["difference"] == pytest.approx(0.08) and 0 < claim["low"] < claim["high"]


def test_the_markdown_holds_all_that_is_needed_to_check_it(results):
    lines = to_markdown(results).splitlines()
    claim = results["data"][0]["claims"][0]
    interval = f"[{claim['low']:+.4f}, {claim['high']:+.4f}]"
    gauc = difference_text(results["data"][0]["models"][0]["less_din"]["gauc"])
    mirrored = f"[{-claim['high']:+.4f}, {-claim['low']:+.4f}]"
    assert (
        f"| Base | 0.7200 ± 0.0283 | 0.6000 ± 0.0000 | 0.5000 ± 0.0000 | +0.00% | +0.00% | -0.0800 {mirrored} | {gauc} | 15.0 s |" in lines
    )
    assert "| DIN | 0.8000 ± 0.0000 | 0.6800 ± 0.0283 | 0.4000 ± 0.0000 | +36.36% | +80.00% | – | – | 40.0 s |" in lines
    assert f"| Base < DIN | confirmed | +0.0800 {interval} |" in lines
    assert "AUC 0.7 elsewhere" in lines
    assert "* source: movielens" in lines and "* base_rate: train: 0.2500" in lines and "* dropped: none" in lines
    assert "* SHA-256 of the impressions: `abc`" in lines
    assert "`movielens` `training.epochs=3` `model.dropout=0`; each model's settings on top of it:" in lines
    assert "* DIN: `model.kind=din`; best epochs 3, 3" in lines
    assert "* Taobao: x.csv is not there." in lines
    assert any(line.startswith("Made by `din bench quality --suite mine`, seeds 0, 1.") for line in lines)
    assert claim_text(claim) == f"Base < DIN: confirmed (AUC +0.0800 {interval})"
