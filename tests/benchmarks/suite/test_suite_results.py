"""Intervals compared with a plain loop; claims and tables worked out by hand."""

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import roc_auc_score

from benchmarks.quality.eval_judge import EvalSplit
from benchmarks.quality.paired_intervals import Draws, difference
from benchmarks.suite.row_store import Row
from benchmarks.suite.suite_config import SuiteData
from benchmarks.suite.suite_data import Imported
from benchmarks.suite.suite_results import Claim, results_of_data
from benchmarks.suite.suite_tables import claim_text, difference_text, to_markdown
from components.evaluation.metrics.gauc import gauc

REPLICATES = 60
RNG = np.random.default_rng(1)
USERS, EACH = 30, 8
USER = np.repeat(np.arange(USERS), EACH)
LABEL = RNG.integers(0, 2, USERS * EACH)
JUDGE = EvalSplit(LABEL, USER)
BETTER, WORSE = (  # to one digit: the bootstrap distinguishes scores to about 0.01
    [np.round(RNG.normal(size=len(LABEL)) + strength * LABEL, 1) for _ in range(2)] for strength in (1.5, 0.5)
)


def by_a_loop(metric):
    """Returns the difference of the better and the worse model in each draw, as the mean over the seeds."""
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
    by_draw = by_a_loop(metric)
    users = sum((value - sum(by_draw) / REPLICATES) ** 2 for value in by_draw) / (REPLICATES - 1)
    seeds = 0.005 / 2  # the variance of 0.25 and 0.15, over two seeds
    freedom = (users + seeds) ** 2 / (seeds**2 / 1 + users**2 / (REPLICATES - 1))
    half = scipy.stats.t(freedom).interval(0.95)[1] * (users + seeds) ** 0.5
    assert found == {
        "difference": pytest.approx(0.2),
        "low": pytest.approx(0.2 - half),
        "high": pytest.approx(0.2 + half),
        "by_seed": pytest.approx([0.25, 0.15]),
    }


def test_seeds_alone_make_student_s_interval():
    """Differences 0.01, 0.02, 0.03 by three seeds: 0.02 ± 4.3027 · 0.01 / √3."""
    found = difference([0.71, 0.72, 0.73], [0.7, 0.7, 0.7], np.full(50, 0.02), np.zeros(50))
    assert (found["low"], found["high"]) == (pytest.approx(0.02 - 0.024841, abs=1e-6), pytest.approx(0.02 + 0.024841, abs=1e-6))


def test_users_and_seeds_add_up_by_hand():
    """Two draws of variance 2e-4; two seeds, whose mean has variance 2e-4 / 2: df = (3e-4)² / ((1e-4)² + (2e-4)²) = 1.8."""
    found = difference([0.51, 0.53], [0.5, 0.5], np.array([0.01, 0.03]), np.zeros(2))
    assert found["high"] - found["difference"] == pytest.approx(scipy.stats.t.ppf(0.975, 1.8) * 3e-4**0.5)
    assert found["difference"] == pytest.approx(0.02)


def test_the_noise_of_seeds_is_no_effect():
    """All draws agree; the seeds do not."""
    found = difference([0.75, 0.69, 0.72], [0.7, 0.7, 0.7], np.full(50, 0.02), np.zeros(50))
    assert Claim("", "a", "b").verdict(found["low"], found["high"]) == "not decided"


def test_one_seed_decides_nothing():
    found = difference([0.8], [0.7], np.linspace(0.09, 0.11, 50), np.zeros(50))
    assert found == {"difference": pytest.approx(0.1), "low": None, "high": None, "by_seed": pytest.approx([0.1])}


@pytest.mark.parametrize("drawn", [np.empty(0), np.where(np.arange(50) < 6, np.nan, 0.02)])
def test_draws_that_are_not_defined_decide_nothing(drawn):
    found = difference([0.71, 0.72], [0.7, 0.7], drawn, np.zeros(len(drawn)))
    assert (found["low"], found["high"]) == (None, None)


def test_models_that_are_one_and_the_same_differ_by_nothing():
    found = difference([0.7, 0.71], [0.7, 0.71], np.zeros(50), np.zeros(50))
    assert (found["low"], found["difference"], found["high"]) == (0.0, 0.0, 0.0)


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
    figures = {"auc": auc, "gauc": gauc, "log_loss": log_loss, "best_epoch": best_epoch, "seconds": seconds}
    figures["validation_aucs"] = [auc - 0.02, auc - 0.01]
    return Row({**figures, "still_improving": best_epoch == 3}, logits)


@pytest.fixture(scope="module")
def results():
    data = SuiteData(
        name="ml", title="A data set", importer="movielens", source="ml", config="movielens", settings=("training.epochs=3",),
        published="AUC 0.7 elsewhere",
    )  # fmt: skip
    rows = {
        "base": [row(WORSE[0], 0.70, 0.60, 0.5, 1, 10.0), row(WORSE[1], 0.74, 0.60, 0.5, 2, 20.0)],
        "din": [row(BETTER[0], 0.80, 0.70, 0.4, 3, 30.0), row(BETTER[1], 0.80, 0.66, 0.4, 3, 50.0)],
        "paper": [row(BETTER[0], 0.80, 0.70, 0.4, 3, 30.0), row(BETTER[1], 0.80, 0.66, 0.4, 3, 50.0)],
    }
    manifest = {"source": "movielens", "command": "typed", "base_rate": {"train": 0.25}, "dropped": {}}
    found = results_of_data(data, ["model.dropout=0"], Imported(None, manifest, "abc"), JUDGE, rows)
    return {
        "suite": "mine", "command": "din bench quality --suite mine", "partial": False,
        "seeds": [0, 1], "versions": {"keras": "3.1"}, "data": [found],
        "not_run": [{"what": "Taobao", "why": "x.csv is not there."}],
    }  # fmt: skip


def test_figures_by_hand(results):
    base, din, _ = results["data"][0]["models"]
    assert base["auc"]["mean"] == pytest.approx(0.72) and base["auc"]["sd"] == pytest.approx(0.04 / 2**0.5)
    assert base["rela_impr"] == {"auc": 0.0, "gauc": 0.0}
    assert base["validation_auc"]["values"] == pytest.approx([0.69, 0.73])  # of the best epoch
    assert din["rela_impr"] == {"auc": pytest.approx(0.30 / 0.22 - 1), "gauc": pytest.approx(0.18 / 0.10 - 1)}
    assert base["less_din"]["auc"]["difference"] == pytest.approx(-0.08)
    assert base["less_din"]["gauc"]["difference"] == pytest.approx(-0.08)
    assert din["less_din"] == {"auc": None, "gauc": None}
    assert (base["seconds"], din["best_epochs"]) == (15.0, [3, 3])
    assert results["data"][0]["configuration"]["training"]["epochs"] == 3
    assert results["data"][0]["configuration"]["model"]["dropout"] == 0


def test_only_claims_whose_models_were_trained_and_differ_are_judged(results):
    (claim,) = results["data"][0]["claims"]  # "the paper's DIN < DIN" is not among them: both are the same trainings here
    assert (claim["claim"], claim["better"], claim["worse"]) == ("Base < the paper's DIN", "paper", "base")
    assert claim["verdict"] == "not decided"
    assert claim["difference"] == pytest.approx(0.08) and claim["by_seed"] == pytest.approx([0.10, 0.06])
    assert claim["low"] < 0 < claim["high"]  # the draws alone would confirm the claim; the seeds do not agree


def test_the_markdown_holds_all_that_is_needed_to_check_it(results):
    lines = to_markdown(results).splitlines()
    claim = results["data"][0]["claims"][0]
    interval = f"[{claim['low']:+.4f}, {claim['high']:+.4f}]"
    gauc = difference_text(results["data"][0]["models"][0]["less_din"]["gauc"])
    mirrored = f"[{-claim['high']:+.4f}, {-claim['low']:+.4f}]"
    figures = "0.7200 ± 0.0283 | 0.6000 ± 0.0000 | 0.5000 ± 0.0000 | 0.7100 ± 0.0283"
    assert f"| Base | {figures} | +0.00% | +0.00% | -0.0800 {mirrored} | {gauc} | 15.0 s |" in lines
    figures = "0.8000 ± 0.0000 | 0.6800 ± 0.0283 | 0.4000 ± 0.0000 | 0.7900 ± 0.0000"
    assert f"| DIN* | {figures} | +36.36% | +80.00% | – | – | 40.0 s |" in lines
    assert f"| Base < the paper's DIN | {claim['verdict']} | +0.0800 {interval} | +0.1000, +0.0600 |" in lines
    assert "\\* Still improving at the last epoch allowed, with at least one seed: more epochs may do better." in lines
    assert "AUC 0.7 elsewhere" in lines
    assert "* source: movielens" in lines and "* base_rate: train: 0.2500" in lines and "* dropped: none" in lines
    assert "* SHA-256 of the impressions: `abc`" in lines
    assert "`movielens` `training.epochs=3` `model.dropout=0`; each model adds its own settings:" in lines
    assert "* DIN: `model.kind=din`; best epochs 3, 3" in lines
    assert "* Taobao: x.csv is not there." in lines
    assert any(line.startswith("Made by `din bench quality --suite mine`, seeds 0, 1.") for line in lines)
    assert claim_text(claim) == f"Base < the paper's DIN: {claim['verdict']} (AUC +0.0800 {interval})"


def changed(results, of_data=None, **more):
    """Returns the results with other values, and with other values of their data set."""
    return {**results, **more, "data": [{**results["data"][0], **(of_data or {})}]}


def test_the_markdown_says_that_it_is_a_part_and_that_a_source_was_not_there(results):
    assert to_markdown(results).startswith("# Quality: the suite mine\n")
    text = to_markdown(changed(results, {"is_source_there": False}, partial=True))
    assert text.startswith("# Quality: the suite mine, in part\n")
    assert "\n* The source does not exist any more: these are the impressions of an earlier import.\n" in text


def test_the_markdown_says_how_the_peer_is_trained(results):
    assert "textbook's Adam" not in to_markdown(results)
    peer = {**results["data"][0]["models"][1], "name": "deepctr"}
    assert "DeepCTR's DIN is trained with the textbook's Adam, from embeddings drawn from N(0, 1e-4)" in to_markdown(
        changed(results, {"models": [peer]})
    )


def test_versions_are_named_where_they_differ(results):
    base, din, _ = results["data"][0]["models"]
    old, new = ({"versions": {"keras": version}} for version in ("3.0", "3.1"))
    assert "versions that trained them" not in to_markdown(results)
    mixed = changed(results, {"models": [{**base, "trained": [old, new]}, {**din, "trained": [None, new]}]})
    lines = to_markdown(mixed).splitlines()
    start = lines.index("Rows (model and seeds) by the versions that trained them:")
    assert lines[start + 2 : start + 5] == [
        "* keras 3.0: ml: Base 0",
        "* keras 3.1: ml: Base 1; ml: DIN 1",
        "* not recorded: ml: DIN 0",
    ]
