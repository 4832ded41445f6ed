"""What is measured, on which slices, and which figures a model must reach: the TFMA EvalConfig, from the configuration.

Models are judged on raw examples through their serving signature. Slice keys are raw features or columns of the data (`SliceColumns`),
never a model's own Transform: with a baseline TFMA would count an example in both models' slices.
"""

import json
from typing import Any

from tensorflow_model_analysis.proto import config_pb2

from components.evaluation.metrics.catalogue import METRICS, REPORTED
from din_trainer.features import LABEL, REQUEST_ID, USER_ID
from pipeline.configuration.pipeline_config import PipelineConfig, Threshold

METRICS_MODULE = "components.evaluation.tfma.tfma_metrics"
CANDIDATE, BASELINE = "candidate", "baseline"


_KEYS = {"user": USER_ID, "request": REQUEST_ID}


def _metric_threshold(threshold: Threshold, better: str | None) -> config_pb2.MetricThreshold:
    result = config_pb2.MetricThreshold()
    if threshold.at_least is not None:
        result.value_threshold.lower_bound.value = threshold.at_least
    if threshold.at_most is not None:
        result.value_threshold.upper_bound.value = threshold.at_most
    if threshold.worse_by_at_most is not None:
        higher = better == "higher"
        result.change_threshold.direction = config_pb2.HIGHER_IS_BETTER if higher else config_pb2.LOWER_IS_BETTER
        result.change_threshold.absolute.value = -threshold.worse_by_at_most if higher else threshold.worse_by_at_most
    return result


def _metric_config(name: str, threshold: Threshold | None) -> config_pb2.MetricConfig:
    metric = METRICS[name]
    settings = {"name": name, **({"key": _KEYS[metric.within]} if metric.within else {})}
    result = config_pb2.MetricConfig(class_name=metric.class_name, module=METRICS_MODULE, config=json.dumps(settings)[1:-1])
    if threshold is not None:  # for the overall slice alone: a plain `threshold` would bind every slice
        per_slice = result.per_slice_thresholds.add(threshold=_metric_threshold(threshold, metric.better))
        per_slice.slicing_specs.add()
    return result


def _measured(config: PipelineConfig, requests: bool) -> list[str]:
    """The metrics that the data has."""
    known = {"user": USER_ID in config.features.user, "request": requests}
    return [name for name, metric in METRICS.items() if metric.within is None or known[metric.within]]


def make_eval_config(config: PipelineConfig, requests: bool) -> config_pb2.EvalConfig:
    """The EvalConfig of a run. TFX drops the baseline from it where there is none.

    Args:
        config: Of the run.
        requests: Whether the data tells which impressions were shown together.
    """
    result = config_pb2.EvalConfig()
    for name in (CANDIDATE, BASELINE):
        result.model_specs.add(name=name, signature_name="serving_default", label_key=LABEL, is_baseline=name == BASELINE)
    result.slicing_specs.add()
    for features in config.evaluation.slice_features:
        result.slicing_specs.add(feature_keys=features)
    thresholds = config.evaluation.thresholds
    result.metrics_specs.add(metrics=[_metric_config(name, thresholds.get(name)) for name in _measured(config, requests)])
    return result


def bootstrap_request(config: PipelineConfig, requests: bool) -> dict[str, Any]:
    """The settings of UserBootstrap. A slice that tears requests apart has no metrics within them."""
    reported = [name for name in _measured(config, requests) if name in REPORTED]
    slices = []
    for features in [(), *config.evaluation.slice_features]:
        whole = set(features) <= config.user_level
        slices.append({"features": features, "metrics": [name for name in reported if whole or METRICS[name].within != "request"]})
    keys = {"label": LABEL, "user": USER_ID if USER_ID in config.features.user else "", "request": REQUEST_ID if requests else ""}
    return {"slices": slices, **keys, **config.evaluation.bootstrap.model_dump()}


def rules(config: PipelineConfig) -> list[dict[str, Any]]:
    """What the Verdict holds the metrics against, as `components.verdict.judge` takes it."""
    evaluation = config.evaluation
    overall = [{"metric": name, "slice": {}, "min_examples": 0, **t.model_dump()} for name, t in evaluation.thresholds.items()]
    everything = [*overall, *(threshold.model_dump() for threshold in evaluation.slice_thresholds)]
    return [{**rule, "better": METRICS[rule["metric"]].better} for rule in everything]
