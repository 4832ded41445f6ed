"""The verdict's arithmetic, with the numbers worked out by hand."""

import json

import pytest
from tfx.types import standard_artifacts

from components import verdict
from components.artifact_types import ConfidenceIntervals, ScoredSample
from components.verdict import explain_refusal, join, join_reasons, judge, read_loading
from pipeline.configuration.eval_config import rules
from pipeline.configuration.load_config import load_config

CONFIG = {"auc": {"at_least": 0.6, "worse_by_at_most": 0.01}, "log_loss": {"at_most": 0.5, "worse_by_at_most": 0.02}}


def made_rules(slice_thresholds="", **thresholds):
    settings = [f"evaluation.thresholds.{name}.{key}={value}" for name, held in thresholds.items() for key, value in held.items()]
    return rules(load_config(None, [*settings, *([f"evaluation.slice_thresholds={slice_thresholds}"] if slice_thresholds else [])]))


def row(key=(), examples=1000, **metrics):
    """A slice of `join`; a metric is a value, or value, low and high, and the same of the change."""
    text = ", ".join(f"{feature}={value}" for feature, value in key) or "overall"
    return {
        "slice": text,
        "key": [list(part) for part in key],
        "examples": examples,
        "metrics": {name: metric(v) for name, v in metrics.items()},
    }


def metric(given):
    (value, low, high), change = given if isinstance(given, tuple) and isinstance(given[0], tuple) else ((given, None, None), None)
    change = dict(zip(("value", "low", "high"), change, strict=True)) if change else None
    return {"value": value, "low": low, "high": high, "baseline": None, "change": change}


def against(value, baseline):
    return (value, None, None), (value - baseline, None, None)


def passed(rows):
    return [(row["metric"], row["kind"], row["passed"]) for row in rows]


def test_bounds_include_their_value():
    found = judge(made_rules(**CONFIG), [row(auc=0.6, log_loss=0.5)])
    assert passed(found) == [("auc", "value", True), ("log_loss", "value", True)]


def test_changes_are_held_against_the_baseline_in_the_right_direction():
    worse = judge(made_rules(**CONFIG), [row(auc=against(0.70, 0.72), log_loss=against(0.45, 0.40))])
    assert passed(worse) == [
        ("auc", "value", True), ("auc", "change", False), ("log_loss", "value", True), ("log_loss", "change", False)
    ]  # fmt: skip
    better = judge(made_rules(**CONFIG), [row(auc=against(0.72, 0.70), log_loss=against(0.40, 0.45))])
    assert all(ok for _, _, ok in passed(better))


def test_what_is_not_defined_does_not_pass():
    assert not judge(made_rules(**CONFIG), [row(auc=None, log_loss=0.1)])[0]["passed"]
    assert not judge(made_rules(**CONFIG), [row(log_loss=0.1)])[0]["passed"]


def test_confidence_takes_the_worse_end():
    confident = {"auc": {"at_least": 0.6, "worse_by_at_most": 0.01, "confident": "true"}}
    unsure = row(auc=((0.62, 0.59, 0.65), (0.0, -0.02, 0.02)))
    sure = row(auc=((0.62, 0.61, 0.63), (0.0, -0.01, 0.01)))
    unknown = row(auc=((0.62, None, None), (0.0, None, None)))
    assert [ok for _, _, ok in passed(judge(made_rules(**confident), [unsure]))] == [False, False]
    assert [ok for _, _, ok in passed(judge(made_rules(**confident), [sure]))] == [True, True]
    assert [ok for _, _, ok in passed(judge(made_rules(**confident), [unknown]))] == [False, False]


def test_confidence_in_a_loss_takes_the_upper_end():
    held = made_rules(auc={"at_least": 0}, log_loss={"at_most": 0.5, "confident": "true"})[-1:]
    assert not judge(held, [row(log_loss=((0.49, 0.4, 0.51), None))])[0]["passed"]
    assert judge(held, [row(log_loss=((0.49, 0.4, 0.5), None))])[0]["passed"]


SLICES = '[{metric="auc",slice={item_popularity="*"},at_least=0.7,min_examples=50},{metric="auc",slice={user_activity="0"},at_least=0.5}]'


def test_slices_are_judged_if_they_have_enough_examples():
    """A model that is good overall is refused for one slice; too small a slice, or one that is not there, says nothing."""
    slices = [
        row(auc=0.9),
        row([("item_popularity", "0")], 50, auc=0.69),
        row([("item_popularity", "1-2")], 49, auc=0.1),
        row([("item_popularity", "3-5")], 500, auc=0.8),
        row([("user_activity", "3-5"), ("item_popularity", "0")], 500, auc=0.1),
    ]
    found = judge(made_rules(SLICES), slices)
    assert [(r["slice"], r["examples"], r["judged"], r["passed"]) for r in found if r["slice"] != "overall"] == [
        ("item_popularity=0", 50, True, False),
        ("item_popularity=1-2", 49, False, True),
        ("item_popularity=3-5", 500, True, True),
        ("user_activity=0", 0, False, True),
    ]
    assert explain_refusal(found, True, 0.95) == "auc of item_popularity=0 (50 impressions) is 0.6900, but at least 0.7 is asked for."


def test_a_refusal_is_one_sentence_with_the_numbers():
    found = judge(made_rules(**CONFIG), [row(auc=against(0.55, 0.58), log_loss=against(0.4, 0.4))])
    assert explain_refusal(found, False, 0.95) == (
        "auc is 0.5500, but at least 0.6 is asked for; "
        "auc is 0.0300 below the baseline's, but at most 0.01 below the baseline is asked for."
    )
    assert explain_refusal(judge(made_rules(**CONFIG), [row(auc=0.9, log_loss=0.1)]), True, 0.95) is None
    assert "Evaluator did not bless" in explain_refusal([], False, 0.95)


def test_a_refusal_for_want_of_confidence_has_the_interval():
    confident = made_rules(auc={"at_least": 0.6, "worse_by_at_most": 0.01, "confident": "true"})
    found = judge(confident, [row(auc=((0.62, 0.59, 0.65), (0.001, -0.02, 0.022)))])
    assert explain_refusal(found, True, 0.9) == (
        "auc is 0.6200 (90% interval over users: 0.5900 to 0.6500), but at least 0.6 is asked for with confidence; auc is 0.0010 above the "
        "baseline's (90% interval over users: -0.0200 to +0.0220), but at most 0.01 below the baseline is asked for with confidence."
    )
    found = judge(confident, [row(auc=None)])
    assert explain_refusal(found, True, 0.9) == "auc is not defined, but at least 0.6 is asked for."


def test_values_are_joined_to_their_intervals():
    intervals = [
        {
            "slice": "a=1",
            "key": [["a", 1]],
            "examples": 3,
            "clicks": 1,
            "metrics": {"auc": {"candidate": [0.5, 0.7], "baseline": [0.4, 0.6], "change": [0, 0.2]}},
        }
    ]
    (joined,) = join(intervals, {"a=1": {"auc": 0.6}}, {"a=1": {"auc": 0.5}})
    assert joined["metrics"]["auc"] == {
        "value": 0.6, "low": 0.5, "high": 0.7, "baseline": 0.5, "change": {"value": pytest.approx(0.1), "low": 0, "high": 0.2}
    }  # fmt: skip
    assert join(intervals, {}, None)[0]["metrics"]["auc"] == {"value": None, "low": 0.5, "high": 0.7, "baseline": None, "change": None}


UNDEFINED = '[{metric="auc",slice={user_activity="*"},at_least=0.5,worse_by_at_most=0.1}]'


def test_a_slice_where_a_metric_is_not_defined_is_not_judged():
    """As the AUC of one class. There is a row for each bound all the same, so that nothing seems to have been judged."""
    nothing = {"value": None, "low": None, "high": None, "baseline": None, "change": {"value": None, "low": None, "high": None}}
    one_class = {**row([("user_activity", "0")]), "metrics": {"auc": nothing}}
    found = judge(made_rules(UNDEFINED), [row(auc=against(0.7, 0.7)), one_class])
    assert [(r["kind"], r["judged"], r["passed"]) for r in found if r["slice"] == "user_activity=0"] == [
        ("value", False, True), ("change", False, True)
    ]  # fmt: skip


def test_a_slice_that_does_not_occur_is_not_judged():
    found = judge(made_rules(UNDEFINED.replace("*", "0")), [row(auc=against(0.7, 0.7))])
    assert [(r["kind"], r["examples"], r["judged"], r["passed"]) for r in found if r["slice"] != "overall"] == [
        ("value", 0, False, True), ("change", 0, False, True)
    ]  # fmt: skip


def test_a_long_refusal_is_cut():
    slices = [row([("user_activity", f"{n}-{n}")], auc=against(0.1, 0.7)) for n in range(30)]
    reason = explain_refusal(judge(made_rules(UNDEFINED), [row(auc=against(0.7, 0.7)), *slices]), True, 0.95)
    assert reason.endswith("; and 40 more.") and reason.count(";") == 20


def test_every_gate_s_reason_is_told_once():
    assert join_reasons([None, None, None]) is None
    assert join_reasons(["auc is low.", None, "it cannot be loaded."]) == "auc is low; it cannot be loaded."
    assert join_reasons([None, "it cannot be loaded.", "it cannot be loaded."]) == "it cannot be loaded."


def run_verdict(tmp_path, monkeypatch, sameness=None, loading=None):
    """The component, on metrics that pass, with what the other gates say."""
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
    rows = [{"slice": "overall", "key": [], "examples": 9, "metrics": {"auc": {"candidate": [0.7, 0.9], "change": None}}}]
    (tmp_path / "intervals" / "intervals.json").write_text(json.dumps({"confidence": 0.95, "slices": rows}))
    (tmp_path / "sample" / "sameness.json").write_text(json.dumps({"refused_because": sameness}))
    (tmp_path / "infra_blessing" / "loading.json").write_text(json.dumps({"refused_because": loading}))
    monkeypatch.setattr(verdict, "_load_metrics", lambda uri: ({"overall": {"auc": 0.8}}, None))
    rules = json.dumps(made_rules(auc={"at_least": 0.6}))
    verdict.Verdict.EXECUTOR_SPEC.executor_class._FUNCTION(**given, rules=rules, source_fingerprint="")
    written = json.loads((tmp_path / "blessing" / "verdict.json").read_text())
    assert written["blessed"] is bool(given["blessing"].get_int_custom_property("blessed"))
    return written


def test_a_model_that_all_gates_pass_is_blessed(tmp_path, monkeypatch):
    assert run_verdict(tmp_path, monkeypatch)["blessed"]


@pytest.mark.parametrize("said", [{"sameness": "it differs."}, {"loading": "it is broken."}], ids=str)
def test_each_gate_can_refuse_a_model_of_good_metrics(said, tmp_path, monkeypatch):
    written = run_verdict(tmp_path, monkeypatch, **said)
    assert (written["blessed"], written["refused_because"]) == (False, *said.values())


def test_tfx_s_own_blessing_is_read_too(tmp_path):
    assert read_loading(tmp_path, blessed=True)["refused_because"] is None
    assert "InfraValidator could not serve" in read_loading(tmp_path, blessed=False)["refused_because"]
    (tmp_path / "loading.json").write_text('{"blessed": false, "refused_because": "it is broken."}')
    assert read_loading(tmp_path, blessed=False)["refused_because"] == "it is broken."
