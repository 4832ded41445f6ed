"""What is measured, on which slices, and which figures a model must reach: the TFMA EvalConfig, from the configuration.

Models are judged on raw examples through their serving signature. Slice keys are raw features or columns computed here from raw features,
never a model's own Transform: with a baseline TFMA would count an example in both models' slices.
"""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from din_trainer.features import LABEL
from pipeline.config import LENGTH_SUFFIX, PipelineConfig, Threshold
from pipeline.metrics import METRICS

CANDIDATE, BASELINE = "candidate", "baseline"
HISTORY_LENGTH_BOUNDS = (0, 2, 5, 10, 20, 50)  # the buckets 0, 1-2, 3-5, 6-10, 11-20, 21-50, 51+


def history_length_bucket(length: int) -> str:
    """The slice that a history of `length` events belongs to, such as `3-5`."""
    lower = 0
    for upper in HISTORY_LENGTH_BOUNDS:
        if length <= upper:
            return str(upper) if lower == upper else f"{lower}-{upper}"
        lower = upper + 1
    return f"{lower}+"


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
    metric = config_pb2.MetricConfig(class_name=METRICS[name].class_name, config=f'"name": "{name}"')
    if threshold is not None:  # for the overall slice alone: a plain `threshold` would bind every slice
        per_slice = metric.per_slice_thresholds.add(threshold=_metric_threshold(threshold, METRICS[name].better))
        per_slice.slicing_specs.add()
    return metric


def make_eval_config(config: PipelineConfig) -> config_pb2.EvalConfig:
    """The EvalConfig of a run. TFX drops the baseline from it where there is none."""
    result = config_pb2.EvalConfig()
    for name in (CANDIDATE, BASELINE):
        result.model_specs.add(name=name, signature_name="serving_default", label_key=LABEL, is_baseline=name == BASELINE)
    result.slicing_specs.add()
    for feature in config.evaluation.slices:
        result.slicing_specs.add(feature_keys=[feature])
    thresholds = config.evaluation.thresholds
    metrics = [_metric_config(name, thresholds.get(name)) for name in METRICS]
    result.metrics_specs.add(metrics=[*metrics, config_pb2.MetricConfig(class_name="ExampleCount")])
    return result


def _row_lengths(values: Any) -> np.ndarray:
    """Values a row of a batch of lists, dense or sparse: (B,)."""
    if hasattr(values, "dense_shape"):
        return np.bincount(np.asarray(values.indices)[:, 0], minlength=int(values.dense_shape[0]))
    return np.array([np.size(row) for row in values])


class _AddLengths(beam.DoFn):
    """Adds the bucketed length of each history that a slice asks for to a batch of extracts."""

    def __init__(self, slice_keys: list[str]):
        self._slice_keys = slice_keys

    def process(self, extracts: dict[str, Any]) -> Iterator[dict[str, Any]]:
        features = dict(extracts[tfma.FEATURES_KEY])
        for key in set(self._slice_keys) - set(features):
            lengths = _row_lengths(features[key.removesuffix(LENGTH_SUFFIX)])
            features[key] = np.array([history_length_bucket(int(length)) for length in lengths], dtype=object)
        yield {**extracts, tfma.FEATURES_KEY: features}


def custom_extractors(eval_shared_model: Any, eval_config: config_pb2.EvalConfig, tensor_adapter_config: Any) -> list[Any]:
    """TFMA's own extractors, with the computed slice columns added right behind the raw features. Called by TFX Evaluator."""
    extractors = tfma.default_extractors(
        eval_shared_model=eval_shared_model, eval_config=eval_config, tensor_adapter_config=tensor_adapter_config
    )
    keys = {key for spec in eval_config.slicing_specs for key in spec.feature_keys if key.endswith(LENGTH_SUFFIX)}
    stages = [extractor.stage_name for extractor in extractors]
    add_lengths = tfma.extractors.Extractor("AddHistoryLengths", beam.ParDo(_AddLengths(sorted(keys))))
    extractors.insert(stages.index("ExtractFeatures") + 1, add_lengths)
    return extractors
