"""The verdict, from the results of all gates."""

import json

import pytest
from tfx.types import standard_artifacts

from components import verdict
from components.artifact_types import ConfidenceIntervals, ScoredSample
from components.verdict import join_reasons, read_loading

RULE = {"metric": "auc", "better": "higher", "slice": {}, "min_examples": 0, "at_least": 0.6, "at_most": None, "worse_by_at_most": None}


def intervals_of(auc):
    """What UserBootstrap measured of a label on the whole eval split, without a baseline."""
    rows = [{"slice": "overall", "key": [], "examples": 9, "metrics": {"auc": {"candidate": [auc - 0.1, auc + 0.1], "change": None}}}]
    return {"slices": rows, "curves": {"candidate": None}}


def run_verdict(tmp_path, monkeypatch, sameness=None, loading=None, auc=0.8, purchase=None, more_rules=()):
    """Runs the component on the results of the gates. By default all of them pass the model."""
    given = {
        "evaluation": standard_artifacts.ModelEvaluation(),
        "intervals": ConfidenceIntervals(),
        "sample": ScoredSample(),
        "infra_blessing": standard_artifacts.InfraBlessing(),
        "model": standard_artifacts.Model(),
        "blessing": standard_artifacts.ModelBlessing(),
    }
    for name, artifact in given.items():
        artifact.uri = str(tmp_path / name)
        (tmp_path / name).mkdir()
    given["infra_blessing"].set_int_custom_property("blessed", int(loading is None))
    further = {} if purchase is None else {"purchase": intervals_of(purchase)}
    written = {"confidence": 0.95, **intervals_of(0.8), "further_labels": further}
    (tmp_path / "intervals" / "intervals.json").write_text(json.dumps(written))
    (tmp_path / "sample" / "sameness.json").write_text(json.dumps({"refused_because": sameness}))
    (tmp_path / "infra_blessing" / "loading.json").write_text(json.dumps({"refused_because": loading}))
    metrics = {output: {"overall": {"auc": value}} for output, value in (("probability", auc), ("probability_purchase", purchase))}
    monkeypatch.setattr(verdict, "_load_metrics", lambda uri: (metrics, {}))
    rules = json.dumps([{**RULE, "confident": False}, *more_rules])
    verdict.Verdict.EXECUTOR_SPEC.executor_class._FUNCTION(**given, rules=rules, source_fingerprint="")
    written = json.loads((tmp_path / "blessing" / "verdict.json").read_text())
    assert written["blessed"] is bool(given["blessing"].get_int_custom_property("blessed"))
    return written


def test_a_model_that_all_gates_pass_is_blessed(tmp_path, monkeypatch):
    written = run_verdict(tmp_path, monkeypatch)
    assert written["blessed"] and written["refused_because"] is None
    assert written["thresholds"] == [
        {
            "metric": "auc", "slice": "overall", "kind": "value", "rule": "at least 0.6", "bound": 0.6, "value": 0.8,
            "low": pytest.approx(0.7), "high": pytest.approx(0.9), "confident": False, "examples": 9, "judged": True, "passed": True,
        }
    ]  # fmt: skip


@pytest.mark.parametrize("said", [{"sameness": "it differs."}, {"loading": "it is broken."}], ids=str)
def test_each_gate_can_refuse_a_model_of_good_metrics(said, tmp_path, monkeypatch):
    written = run_verdict(tmp_path, monkeypatch, **said)
    assert (written["blessed"], written["refused_because"]) == (False, *said.values())


def test_metrics_alone_can_refuse_a_model(tmp_path, monkeypatch):
    written = run_verdict(tmp_path, monkeypatch, auc=0.5)
    assert (written["blessed"], written["refused_because"]) == (False, "auc is 0.5000, but at least 0.6 is asked for.")


def test_a_further_label_alone_can_refuse_a_model(tmp_path, monkeypatch):
    """The first label passes the same threshold."""
    rule = {**RULE, "confident": False, "label": "purchase"}
    written = run_verdict(tmp_path, monkeypatch, purchase=0.55, more_rules=[rule])
    assert (written["blessed"], written["refused_because"]) == (False, "auc (purchase) is 0.5500, but at least 0.6 is asked for.")
    first, second = written["thresholds"]
    assert first["passed"] and "label" not in first
    assert not second["passed"] and (second["label"], second["value"]) == ("purchase", 0.55)
    assert written["slices"][0]["metrics"]["auc"]["value"] == 0.8
    assert written["further_labels"]["purchase"]["slices"][0]["metrics"]["auc"]["value"] == 0.55


def test_every_gate_s_reason_is_given_once():
    assert join_reasons([None, None, None]) is None
    assert join_reasons(["auc is low.", None, "it cannot be loaded."]) == "auc is low; it cannot be loaded."
    assert join_reasons([None, "it cannot be loaded.", "it cannot be loaded."]) == "it cannot be loaded."


def test_tfx_s_own_blessing_is_read_too(tmp_path):
    assert read_loading(tmp_path, blessed=True)["refused_because"] is None
    assert "InfraValidator could not serve" in read_loading(tmp_path, blessed=False)["refused_because"]
    (tmp_path / "loading.json").write_text('{"blessed": false, "refused_because": "it is broken."}')
    assert read_loading(tmp_path, blessed=False)["refused_because"] == "it is broken."
