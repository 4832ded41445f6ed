"""The slices and intervals that UserBootstrap writes. `evaluation/test_poisson_bootstrap.py` tests the intervals themselves."""

import numpy as np
from sklearn.metrics import roc_auc_score

from components.user_bootstrap import evaluate


class Scored:
    def __init__(self):
        rng = np.random.default_rng(0)
        label = rng.integers(2, size=300)
        self.columns = {
            "label": label,
            "user_id": rng.integers(30, size=300),
            "popularity": np.array([b"11-20", b"3-5", None], dtype=object)[rng.integers(3, size=300)],
        }
        self.scores = {"click": {"candidate": np.clip(label * 0.3 + rng.random(300) * 0.7, 0, 1)}}


SETTINGS = {
    "slices": [{"features": [], "metrics": ["auc", "gauc"]}, {"features": ["popularity"], "metrics": ["auc"]}],
    "labels": [["click", "label", "probability"]], "user": "user_id", "request": "", "replicates": 100, "confidence": 0.95, "seed": 0,
}  # fmt: skip


def test_slices_have_their_counts_and_are_sorted_by_number():
    scored = Scored()
    result = evaluate(scored, SETTINGS)
    assert [row["slice"] for row in result["slices"]] == ["overall", "popularity=3-5", "popularity=11-20"]
    assert result["slices"][0]["examples"] == 300 and result["slices"][0]["users"] == 30
    rows = scored.columns["popularity"] == b"3-5"
    assert result["slices"][1]["key"] == [["popularity", "3-5"]]
    assert result["slices"][1]["clicks"] == scored.columns["label"][rows].sum()
    assert [sorted(row["metrics"]) for row in result["slices"]] == [["auc", "gauc"], ["auc"], ["auc"]]


def test_an_interval_contains_the_value():
    scored = Scored()
    low, high = evaluate(scored, SETTINGS)["slices"][0]["metrics"]["auc"]["candidate"]
    assert low < roc_auc_score(scored.columns["label"], scored.scores["click"]["candidate"]) < high


def test_without_users_impressions_are_drawn():
    result = evaluate(Scored(), {**SETTINGS, "user": "", "slices": [{"features": [], "metrics": ["auc"]}]})
    assert result["slices"][0]["users"] is None
    assert result["slices"][0]["metrics"]["auc"]["candidate"][0] is not None


def test_without_users_requests_are_drawn():
    scored = Scored()
    scored.columns["request_id"] = np.arange(300) // 10
    settings = {**SETTINGS, "slices": [{"features": [], "metrics": ["auc"]}]}
    by_request = evaluate(scored, {**settings, "user": "", "request": "request_id"})
    assert by_request["slices"][0]["metrics"] == evaluate(scored, {**settings, "user": "request_id"})["slices"][0]["metrics"]
    assert by_request["slices"][0]["metrics"] != evaluate(scored, {**settings, "user": ""})["slices"][0]["metrics"]


def test_a_further_label_has_its_own_slices_intervals_and_curves_and_is_compared_only_if_the_baseline_predicts_it():
    scored = Scored()
    first = evaluate(scored, SETTINGS)
    rng = np.random.default_rng(1)
    scored.columns["purchase"] = scored.columns["label"] * rng.integers(2, size=300)
    scored.scores["click"]["baseline"] = rng.random(300)
    scored.scores["purchase"] = {"candidate": np.clip(scored.columns["purchase"] * 0.3 + rng.random(300) * 0.7, 0, 1)}
    found = evaluate(scored, {**SETTINGS, "labels": [*SETTINGS["labels"], ["purchase", "purchase", "probability_purchase"]]})
    assert found["slices"][0]["metrics"]["auc"]["candidate"] == first["slices"][0]["metrics"]["auc"]["candidate"]
    assert found["slices"][0]["metrics"]["auc"].keys() == {"candidate", "baseline", "change"}
    purchase = found["further_labels"]["purchase"]
    assert [row["slice"] for row in purchase["slices"]] == [row["slice"] for row in found["slices"]]
    assert purchase["slices"][0]["clicks"] == scored.columns["purchase"].sum()
    assert purchase["slices"][0]["metrics"]["auc"].keys() == {"candidate"} and purchase["curves"].keys() == {"candidate"}
    low, high = purchase["slices"][0]["metrics"]["auc"]["candidate"]
    assert low < roc_auc_score(scored.columns["purchase"], scored.scores["purchase"]["candidate"]) < high
    assert first["further_labels"] == {}
