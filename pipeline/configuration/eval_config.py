"""Which metrics are measured on which slices, and which thresholds they must reach: TFMA's EvalConfig, and the settings of our own judges.

Models are judged on raw impressions through their serving signature. Slices are by raw features or by columns of the data (`SliceColumns`),
never by the output of a model's own Transform: with a baseline, TFMA would count an impression in the slices of both models.
"""

import json
from typing import Any

from tensorflow_model_analysis.proto import config_pb2

from components.evaluation.judge_thresholds import Rule, bounds
from components.evaluation.labels import labels_of, output_name
from components.evaluation.metrics.catalogue import METRICS, REPORTED
from din_trainer.features import LABEL, REQUEST_ID, USER_ID
from pipeline.configuration.pipeline_config import PipelineConfig

METRICS_MODULE = "components.evaluation.tfma.tfma_metrics"
CANDIDATE, BASELINE = "candidate", "baseline"

_KEYS = {"user": USER_ID, "request": REQUEST_ID}


def rules(config: PipelineConfig) -> list[Rule]:
    """The thresholds of the configuration: those on the whole eval split by label, then those on slices."""
    first = config.features.labels[0]
    overall = [
        Rule(metric=name, better=METRICS[name].better, slice={}, min_examples=0, label=label, **threshold.model_dump())
        for label, thresholds in config.thresholds.items()
        for name, threshold in thresholds.items()
    ]
    sliced = [Rule(better=METRICS[threshold.metric].better, **threshold.model_dump()) for threshold in config.evaluation.slice_thresholds]
    return [rule._replace(label="") if rule.label == first else rule for rule in overall + sliced]


def _metric_threshold(rule: Rule) -> config_pb2.MetricThreshold:
    """The bounds of a rule, for TFMA's own validation report. The pipeline's judge is Verdict."""
    result = config_pb2.MetricThreshold()
    for bound in bounds(rule):
        if bound.kind == "value":
            end = result.value_threshold.lower_bound if bound.is_lower else result.value_threshold.upper_bound
            end.value = bound.limit
        else:
            result.change_threshold.direction = config_pb2.HIGHER_IS_BETTER if bound.is_lower else config_pb2.LOWER_IS_BETTER
            result.change_threshold.absolute.value = bound.limit
    return result


def _metric_config(name: str, rule: Rule | None) -> config_pb2.MetricConfig:
    metric = METRICS[name]
    settings = {"name": name, **({"key": _KEYS[metric.within]} if metric.within else {})}
    result = config_pb2.MetricConfig(class_name=metric.class_name, module=METRICS_MODULE, config=json.dumps(settings)[1:-1])
    if rule is not None:  # for the overall slice only: a plain `threshold` would hold on every slice
        result.per_slice_thresholds.add(threshold=_metric_threshold(rule)).slicing_specs.add()
    return result


def _measured(config: PipelineConfig, requests: bool) -> list[str]:
    """The metrics that can be computed from the data."""
    known = {"user": USER_ID in config.features.user, "request": requests}
    return [name for name, metric in METRICS.items() if metric.within is None or known[metric.within]]


def make_eval_config(config: PipelineConfig, requests: bool) -> config_pb2.EvalConfig:
    """The EvalConfig of a run, with a baseline, which TFX removes if there is none.

    Args:
        config: The configuration of the run.
        requests: Whether the data has a request id, which shows the impressions that were shown together.
    """
    result = config_pb2.EvalConfig()
    labels = labels_of(config.features)
    columns: dict[str, Any] = {"label_keys": {label.output: label.column for label in labels}} if len(labels) > 1 else {"label_key": LABEL}
    for name in (CANDIDATE, BASELINE):
        result.model_specs.add(name=name, signature_name="serving_default", is_baseline=name == BASELINE, **columns)
    result.slicing_specs.add()
    for features in config.evaluation.slice_features:
        result.slicing_specs.add(feature_keys=features)
    for label in ["", *config.features.labels[1:]]:
        overall = {rule.metric: rule for rule in rules(config) if not rule.slice and rule.label == label}
        metrics = [_metric_config(name, overall.get(name)) for name in _measured(config, requests)]
        result.metrics_specs.add(metrics=metrics, output_names=[output_name(label)] if len(labels) > 1 else [])
    return result


def bootstrap_request(config: PipelineConfig, requests: bool) -> dict[str, Any]:
    """The settings of UserBootstrap. A slice that holds only some impressions of a request has no metrics that rank within requests."""
    reported = [name for name in _measured(config, requests) if name in REPORTED]
    slices = []
    for features in [(), *config.evaluation.slice_features]:
        whole = set(features) <= config.user_level
        slices.append({"features": features, "metrics": [name for name in reported if whole or METRICS[name].within != "request"]})
    keys = {
        "labels": labels_of(config.features),
        "user": USER_ID if USER_ID in config.features.user else "",
        "request": REQUEST_ID if requests else "",
    }
    return {"slices": slices, **keys, **config.evaluation.bootstrap.model_dump()}
