"""The verdict's arithmetic, with the numbers worked out by hand."""

import math

import pytest
from tensorflow_model_analysis.proto import config_pb2

from components.verdict import explain_refusal, judge
from pipeline.config import load_config
from pipeline.evaluation import make_eval_config


def eval_config(**thresholds):
    settings = [f"evaluation.thresholds.{name}.{key}={value}" for name, rules in thresholds.items() for key, value in rules.items()]
    return make_eval_config(load_config(None, settings))


CONFIG = {"auc": {"at_least": 0.6, "worse_by_at_most": 0.01}, "log_loss": {"at_most": 0.5, "worse_by_at_most": 0.02}}


def passed(metrics, baseline):
    return [(row["metric"], row["kind"], row["passed"]) for row in judge(eval_config(**CONFIG), metrics, baseline)]


def test_bounds_include_their_value():
    assert passed({"auc": 0.6, "log_loss": 0.5}, None) == [("auc", "value", True), ("log_loss", "value", True)]


def test_changes_are_held_against_the_baseline_in_the_right_direction():
    worse = {"auc": 0.70, "log_loss": 0.45}
    better = {"auc": 0.72, "log_loss": 0.40}
    assert passed(worse, better) == [
        ("auc", "value", True), ("auc", "change", False), ("log_loss", "value", True), ("log_loss", "change", False)
    ]  # fmt: skip
    assert all(ok for _, _, ok in passed(better, worse))
    assert all(ok for _, _, ok in passed(worse, worse))


def test_nan_and_missing_values_never_pass():
    assert passed({"auc": math.nan, "log_loss": 0.1}, None)[0] == ("auc", "value", False)
    assert passed({"log_loss": 0.1}, None)[0] == ("auc", "value", False)


def test_a_refusal_is_one_sentence_with_the_numbers():
    rows = judge(eval_config(**CONFIG), {"auc": 0.55, "log_loss": 0.4}, {"auc": 0.58, "log_loss": 0.4})
    assert explain_refusal(rows, False) == (
        "auc is 0.5500, but at least 0.6 is asked for; "
        "auc is 0.0300 below the baseline's, but at most 0.01 below the baseline is asked for."
    )
    assert explain_refusal(judge(eval_config(**CONFIG), {"auc": 0.9, "log_loss": 0.1}, None), True) is None
    assert "Evaluator did not bless" in explain_refusal([], False)


def test_thresholds_bind_the_overall_slice_alone():
    auc = next(m for m in eval_config(**CONFIG).metrics_specs[0].metrics if m.class_name == "AUC")
    assert not auc.HasField("threshold")
    assert [list(t.slicing_specs) for t in auc.per_slice_thresholds] == [[config_pb2.SlicingSpec()]]


@pytest.mark.parametrize(
    "length, bucket", [(0, "0"), (1, "1-2"), (2, "1-2"), (3, "3-5"), (10, "6-10"), (50, "21-50"), (51, "51+"), (9999, "51+")]
)
def test_history_length_buckets(length, bucket):
    from pipeline.evaluation import history_length_bucket

    assert history_length_bucket(length) == bucket
