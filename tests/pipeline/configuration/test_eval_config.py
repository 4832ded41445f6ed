"""TFMA's EvalConfig and the settings of UserBootstrap and Verdict, from the configuration."""

import json

import pytest
from tensorflow_model_analysis.evaluators.metrics_validator import validate_metrics
from tensorflow_model_analysis.metrics.metric_types import MetricKey
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils.config_util import update_eval_config_with_defaults

from components.base.errors import InputError
from components.evaluation.judge_thresholds import judge
from pipeline.configuration.eval_config import BASELINE, CANDIDATE, bootstrap_request, make_eval_config, rules
from pipeline.configuration.load_config import load_config
from pipeline.configuration.pipeline_config import Threshold

CROSS = 'evaluation.slices=["user_activity", ["user_activity", "item_popularity"]]'


def metrics(eval_config):
    return {json.loads(f"{{{metric.config}}}")["name"]: metric for metric in eval_config.metrics_specs[0].metrics}


def test_thresholds_hold_for_the_overall_slice_only():
    auc = metrics(make_eval_config(load_config(), requests=False))["auc"]
    assert not auc.HasField("threshold")
    assert [list(t.slicing_specs) for t in auc.per_slice_thresholds] == [[config_pb2.SlicingSpec()]]


def tfma_passes(config, name, value, change):
    """TFMA's own validation of the overall slice, with the EvalConfig as TFX completes it."""
    eval_config = update_eval_config_with_defaults(make_eval_config(config, requests=False), has_baseline=True)
    key = MetricKey(name=name, model_name=CANDIDATE, example_weighted=False)
    measured = {key: value, key.make_diff_key(): change, key.make_baseline_key(BASELINE): value - change}
    return validate_metrics(((), measured), eval_config).validation_ok


def verdict_passes(config, name, value, change):
    found = {"value": value, "change": {"value": change, "low": None, "high": None}, "low": None, "high": None}
    return all(row["passed"] for row in judge(rules(config), [{"slice": "overall", "key": [], "examples": 9, "metrics": {name: found}}]))


@pytest.mark.parametrize(
    "name, threshold, value, change, passes",
    [
        ("auc", {"at_least": 0.6}, 0.6, 0, True),
        ("auc", {"at_least": 0.6}, 0.599, 0, False),
        ("log_loss", {"at_most": 0.5}, 0.5, 0, True),
        ("log_loss", {"at_most": 0.5}, 0.501, 0, False),
        ("calibration", {"at_least": 0.9, "at_most": 1.1}, 1.0, 0, True),
        ("calibration", {"at_least": 0.9, "at_most": 1.1}, 1.2, 0, False),
        ("auc", {"worse_by_at_most": 0.01}, 0.7, -0.01, True),
        ("auc", {"worse_by_at_most": 0.01}, 0.7, -0.011, False),
        ("auc", {"worse_by_at_most": 0.01}, 0.7, 0.1, True),
        ("log_loss", {"worse_by_at_most": 0.02}, 0.4, 0.02, True),
        ("log_loss", {"worse_by_at_most": 0.02}, 0.4, 0.021, False),
        ("log_loss", {"worse_by_at_most": 0.02}, 0.4, -0.1, True),
    ],
)
def test_tfma_s_report_and_the_verdict_agree(name, threshold, value, change, passes):
    config = load_config()
    evaluation = config.evaluation.model_copy(update={"thresholds": {name: Threshold(**threshold)}})
    config = config.model_copy(update={"evaluation": evaluation})
    assert tfma_passes(config, name, value, change) is verdict_passes(config, name, value, change) is passes


def test_crosses_are_slices_by_two_features():
    specs = make_eval_config(load_config(None, [CROSS]), requests=False).slicing_specs
    assert [list(spec.feature_keys) for spec in specs] == [[], ["user_activity"], ["user_activity", "item_popularity"]]


@pytest.mark.parametrize(
    "settings, requests, missing",
    [
        ([], True, set()),
        ([], False, {"ndcg_10", "mrr"}),
        (["features.user.user_id=false", "evaluation.slices=[]"], False, {"ndcg_10", "mrr", "gauc", "one_class_users"}),
    ],
)
def test_metrics_that_the_data_lacks_are_not_asked_for(settings, requests, missing):
    asked = metrics(make_eval_config(load_config(None, settings), requests))
    assert {"auc", "gauc", "ndcg_10", "mrr", "one_class_users"} - set(asked) == missing


def test_a_slice_with_only_some_impressions_of_a_request_has_no_metric_within_requests():
    slices = {tuple(cut["features"]): cut["metrics"] for cut in bootstrap_request(load_config(None, [CROSS]), requests=True)["slices"]}
    assert "ndcg_10" in slices[()] and "ndcg_10" in slices[("user_activity",)]
    assert "ndcg_10" not in slices[("user_activity", "item_popularity")] and "gauc" in slices[("user_activity", "item_popularity")]


@pytest.mark.parametrize(
    "threshold, reason",
    [
        ('{metric="mrr",slice={item_popularity="0"},at_least=0.1}', "of a request, but a slice by 'item_popularity' holds only some"),
        ('{metric="auc",slice={candidate_category_id="1"},at_least=0.1}', "which evaluation.slices does not name: add it there"),
        ('{metric="auc",slice={user_activity="1-3"},at_least=0.1}', "user_activity=1-3, but its slices are 0, 1-2, 3-5"),
        ('{metric="hits",slice={user_activity="0"},at_least=0.1}', "no metric is called 'hits'"),
        ('{metric="calibration",slice={user_activity="0"},worse_by_at_most=0.1}', "calibration has no better direction"),
    ],
)  # fmt: skip
def test_thresholds_that_cannot_be_judged_are_refused(threshold, reason):
    with pytest.raises(InputError, match=reason):
        load_config(None, [f"evaluation.slice_thresholds=[{threshold}]"])


def test_confidence_needs_replicates():
    with pytest.raises(InputError, match="auc must be reached with confidence, but"):
        load_config(None, ["evaluation.thresholds.auc.confident=true", "evaluation.bootstrap.replicates=0"])


def test_a_threshold_on_a_metric_that_the_data_lacks_is_refused():
    with pytest.raises(InputError, match="gauc ranks within users, but no user_id is declared"):
        load_config(None, ["features.user.user_id=false", "evaluation.slices=[]", "evaluation.thresholds.gauc.at_least=0.5"])


def test_a_slice_is_named_once():
    with pytest.raises(InputError, match="names a slice twice"):
        load_config(None, ['evaluation.slices=[["user_activity", "item_popularity"], ["item_popularity", "user_activity"]]'])


def test_a_declared_feature_is_not_overwritten_by_a_column():
    with pytest.raises(InputError, match="names 'user_activity', which is computed, but a feature is declared by that name"):
        load_config(None, ["features.user.user_activity.dtype=bytes"])


def test_a_slice_by_user_activity_needs_users():
    with pytest.raises(InputError, match="user_activity counts user_id, which is not declared"):
        load_config(None, ["features.user.user_id=false"])


def test_a_cross_is_of_two_features():
    with pytest.raises(InputError, match="crosses 'user_activity' with itself"):
        load_config(None, ['evaluation.slices=[["user_activity", "user_activity"]]'])


def asked(settings):
    return [(rule.metric, rule.at_least, rule.at_most) for rule in rules(load_config(None, settings)) if rule.metric == "calibration"]


@pytest.mark.parametrize("settings", [["training.warm_start=served"], ["training.warm_start=7"], ["spans.window=7"]])
def test_models_of_each_day_must_be_calibrated(settings):
    """A model that is trained on and on may predict ever higher or lower probabilities, which AUC does not show."""
    assert asked(settings) == [("calibration", 0.67, 1.5)]


def test_a_threshold_of_the_configuration_replaces_that_on_calibration():
    assert asked(["training.warm_start=served", "evaluation.thresholds.calibration.at_most=2"]) == [("calibration", None, 2)]
    assert asked([]) == []


LABELS = 'features.labels=["click", "purchase"]'


def test_one_label_has_the_plain_eval_config():
    eval_config = make_eval_config(load_config(None, ['features.labels=["click"]']), requests=False)
    assert [(spec.label_key, dict(spec.label_keys)) for spec in eval_config.model_specs] == [("label", {})] * 2
    assert [list(spec.output_names) for spec in eval_config.metrics_specs] == [[]]


def test_each_label_has_its_column_output_metrics_and_thresholds():
    settings = [LABELS, "evaluation.label_thresholds.purchase.log_loss.at_most=0.2"]
    eval_config = make_eval_config(load_config(None, settings), requests=False)
    assert dict(eval_config.model_specs[0].label_keys) == {"probability": "label", "probability_purchase": "purchase"}
    first, purchase = eval_config.metrics_specs
    assert (list(first.output_names), list(purchase.output_names)) == (["probability"], ["probability_purchase"])
    bounded = [[json.loads(f"{{{m.config}}}")["name"] for m in spec.metrics if m.per_slice_thresholds] for spec in (first, purchase)]
    assert bounded == [["auc"], ["log_loss"]] and len(first.metrics) == len(purchase.metrics)
    asked = bootstrap_request(load_config(None, settings), requests=False)["labels"]
    assert [tuple(label) for label in asked] == [("click", "label", "probability"), ("purchase", "purchase", "probability_purchase")]


def test_thresholds_of_slices_may_be_for_a_label():
    on = 'slice={user_activity="*"},at_least=0.1'
    settings = [
        LABELS,
        f'evaluation.slice_thresholds=[{{metric="auc",{on}}},{{metric="auc",label="click",{on}}},{{metric="gauc",label="purchase",{on}}}]',
    ]
    found = [(rule.metric, rule.label) for rule in rules(load_config(None, settings)) if rule.slice]
    assert found == [("auc", ""), ("auc", ""), ("gauc", "purchase")]


def test_models_of_each_day_must_be_calibrated_for_every_label():
    settings = [LABELS, "spans.window=7", "evaluation.label_thresholds.purchase.calibration.at_most=3"]
    found = [(rule.label, rule.at_least, rule.at_most) for rule in rules(load_config(None, settings)) if rule.metric == "calibration"]
    assert found == [("", 0.67, 1.5), ("purchase", None, 3)]


@pytest.mark.parametrize(
    "settings, reason",
    [
        (["evaluation.label_thresholds.sale.auc.at_least=0.5"], "for the label 'sale', but features.labels has click, purchase"),
        (["evaluation.label_thresholds.click.auc.at_least=0.5"], r"click is the first label: its thresholds are evaluation\.thresholds"),
        (["evaluation.label_thresholds.purchase.auk.at_least=0.5"], "no metric is called 'auk'"),
        (["evaluation.label_thresholds.purchase.auc.at_least=1.5"], r"auc must be at least 1\.5, but it is never above 1"),
        (['evaluation.slice_thresholds=[{metric="auc",label="sale",slice={user_activity="0"},at_least=0.1}]'], "for the label 'sale'"),
    ],
)  # fmt: skip
def test_thresholds_of_labels_that_cannot_be_judged_are_refused(settings, reason):
    with pytest.raises(InputError, match=reason):
        load_config(None, [LABELS, *settings])
