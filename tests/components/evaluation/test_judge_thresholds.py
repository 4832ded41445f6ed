"""Metrics are judged by thresholds, with numbers calculated by hand."""

import pytest

from components.evaluation.judge_thresholds import Rule, explain_refusal, join, judge
from components.evaluation.metrics.catalogue import METRICS


def rule(metric, on=None, at_least=None, at_most=None, worse_by_at_most=None, confident=False, min_examples=100):
    return Rule(metric, METRICS[metric].better, on or {}, min_examples, at_least, at_most, worse_by_at_most, confident)


AUC, LOG_LOSS = rule("auc", at_least=0.6, worse_by_at_most=0.01), rule("log_loss", at_most=0.5, worse_by_at_most=0.02)


def row(key=(), examples=1000, **metrics):
    """A slice as `join` returns it. A metric is given as its value, or as (value, low, high) and the same for its change."""
    text = ", ".join(f"{feature}={value}" for feature, value in key) or "overall"
    return {
        "slice": text,
        "key": [list(part) for part in key],
        "examples": examples,
        "metrics": {name: metric(v) for name, v in metrics.items()},
    }


def metric(given):
    (value, low, high), change = given if isinstance(given, tuple) else ((given, None, None), None)
    change = dict(zip(("value", "low", "high"), change, strict=True)) if change else None
    return {"value": value, "low": low, "high": high, "baseline": None, "change": change}


def against(value, baseline):
    return (value, None, None), (value - baseline, None, None)


UNDEFINED = (None, None, None), (None, None, None)


def passed(rows):
    return [(row["metric"], row["kind"], row["passed"]) for row in rows]


def test_bounds_include_their_value():
    found = judge([AUC, LOG_LOSS], [row(auc=0.6, log_loss=0.5)])
    assert passed(found) == [("auc", "value", True), ("log_loss", "value", True)]


def test_changes_are_compared_with_the_baseline_in_the_right_direction():
    worse = judge([AUC, LOG_LOSS], [row(auc=against(0.70, 0.72), log_loss=against(0.45, 0.40))])
    assert passed(worse) == [
        ("auc", "value", True), ("auc", "change", False), ("log_loss", "value", True), ("log_loss", "change", False)
    ]  # fmt: skip
    better = judge([AUC, LOG_LOSS], [row(auc=against(0.72, 0.70), log_loss=against(0.40, 0.45))])
    assert all(ok for _, _, ok in passed(better))


def test_a_metric_that_is_not_defined_does_not_pass():
    assert not judge([AUC], [row(auc=None)])[0]["passed"]
    assert not judge([AUC], [row(log_loss=0.1)])[0]["passed"]


def test_confidence_takes_the_worse_end():
    confident = AUC._replace(confident=True)
    unsure = row(auc=((0.62, 0.59, 0.65), (0.0, -0.02, 0.02)))
    sure = row(auc=((0.62, 0.61, 0.63), (0.0, -0.01, 0.01)))
    unknown = row(auc=((0.62, None, None), (0.0, None, None)))
    assert [ok for _, _, ok in passed(judge([confident], [unsure]))] == [False, False]
    assert [ok for _, _, ok in passed(judge([confident], [sure]))] == [True, True]
    assert [ok for _, _, ok in passed(judge([confident], [unknown]))] == [False, False]


def test_confidence_in_a_loss_takes_the_upper_end():
    confident = LOG_LOSS._replace(confident=True)
    assert not judge([confident], [row(log_loss=((0.49, 0.4, 0.51), None))])[0]["passed"]
    assert judge([confident], [row(log_loss=((0.49, 0.4, 0.5), None))])[0]["passed"]


def test_slices_are_judged_if_they_have_enough_examples():
    """A model that is good overall is refused for one slice. A slice that is too small or does not occur refuses nothing."""
    rules = [AUC, rule("auc", {"item_popularity": "*"}, at_least=0.7, min_examples=50), rule("auc", {"user_activity": "0"}, at_least=0.5)]
    slices = [
        row(auc=0.9),
        row([("item_popularity", "0")], 50, auc=0.69),
        row([("item_popularity", "1-2")], 49, auc=0.1),
        row([("item_popularity", "3-5")], 500, auc=0.8),
        row([("user_activity", "3-5"), ("item_popularity", "0")], 500, auc=0.1),
    ]
    found = judge(rules, slices)
    assert [(r["slice"], r["examples"], r["judged"], r["passed"]) for r in found if r["slice"] != "overall"] == [
        ("item_popularity=0", 50, True, False),
        ("item_popularity=1-2", 49, False, True),
        ("item_popularity=3-5", 500, True, True),
        ("user_activity=0", 0, False, True),
    ]
    assert explain_refusal(found, 0.95) == "auc of item_popularity=0 (50 impressions) is 0.6900, but at least 0.7 is asked for."


BY_ACTIVITY = rule("auc", {"user_activity": "*"}, at_least=0.5, worse_by_at_most=0.1)


def test_a_slice_where_a_metric_is_not_defined_is_not_judged():
    """For example the AUC of one class. Each bound still has a row, which shows that it was not judged."""
    found = judge([BY_ACTIVITY], [row(auc=against(0.7, 0.7)), row([("user_activity", "0")], auc=UNDEFINED)])
    assert [(r["kind"], r["judged"], r["passed"]) for r in found] == [("value", False, True), ("change", False, True)]


def test_a_slice_that_does_not_occur_is_not_judged():
    found = judge([BY_ACTIVITY._replace(slice={"user_activity": "0"})], [row(auc=against(0.7, 0.7))])
    assert [(r["kind"], r["examples"], r["judged"], r["passed"]) for r in found] == [("value", 0, False, True), ("change", 0, False, True)]


def test_a_refusal_is_one_sentence_with_the_numbers():
    found = judge([AUC, LOG_LOSS], [row(auc=against(0.55, 0.58), log_loss=against(0.4, 0.4))])
    assert explain_refusal(found, 0.95) == (
        "auc is 0.5500, but at least 0.6 is asked for; "
        "auc is 0.0300 below the baseline's, but at most 0.01 below the baseline is asked for."
    )
    assert explain_refusal(judge([AUC, LOG_LOSS], [row(auc=0.9, log_loss=0.1)]), 0.95) is None


def test_a_refusal_because_of_confidence_has_the_interval():
    confident = AUC._replace(confident=True)
    found = judge([confident], [row(auc=((0.62, 0.59, 0.65), (0.001, -0.02, 0.022)))])
    assert explain_refusal(found, 0.9) == (
        "auc is 0.6200 (90% interval over users: 0.5900 to 0.6500), but at least 0.6 is asked for with confidence; auc is 0.0010 above the "
        "baseline's (90% interval over users: -0.0200 to +0.0220), but at most 0.01 below the baseline is asked for with confidence."
    )
    assert explain_refusal(judge([confident], [row(auc=None)]), 0.9) == "auc is not defined, but at least 0.6 is asked for."


def test_a_long_refusal_is_cut():
    slices = [row([("user_activity", f"{n}-{n}")], auc=against(0.1, 0.7)) for n in range(30)]
    reason = explain_refusal(judge([BY_ACTIVITY], [row(auc=against(0.7, 0.7)), *slices]), 0.95)
    assert reason.endswith("; and 40 more.") and reason.count(";") == 20


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
