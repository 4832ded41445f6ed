"""TFMA metrics that TFMA lacks, or computes one impression at a time; each is a sum of `pipeline.additive`.

For any EvalConfig, by name and module, the query metrics with the key of their queries:

    metrics_specs {
      query_key: "user_id"
      metrics { class_name: "GAUC" module: "pipeline.tfma_metrics" }
    }

An input may hold one impression, all of a query, or, without a query key but with `key`, any number of whole users: a query metric then
tells them apart by the raw feature `key`.
"""

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types, metric_util

from pipeline.additive import ADDITIVE, Impressions


class _SumCombiner(beam.CombineFn):
    """Adds up what the impressions add to one metric of one model."""

    def __init__(self, metric: str, key: metric_types.MetricKey, group: str | None, eval_config: Any):
        self._metric, self._key, self._group, self._eval_config = metric, key, group, eval_config

    def create_accumulator(self) -> Any:
        return 0.0

    def add_input(self, accumulator: Any, element: metric_types.StandardMetricInputs) -> Any:
        label, score, _ = next(
            metric_util.to_label_prediction_example_weight(
                element, self._eval_config, self._key.model_name, self._key.output_name, flatten=False
            )
        )
        label, score = label.ravel().astype(np.float64), score.ravel().astype(np.float64)
        group = element.features[self._group].ravel() if self._group else np.zeros(len(label))
        return accumulator + ADDITIVE[self._metric].rows(Impressions(label, score, group, group)).sum(axis=0)

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        return sum(accumulators)

    def extract_output(self, accumulator: Any) -> metric_types.MetricsDict:
        return {self._key: float(ADDITIVE[self._metric].value(accumulator)) if np.ndim(accumulator) else float("nan")}


def _computations(
    metric: str,
    name: str,
    key: str,
    eval_config: Any = None,
    model_name: str = "",
    output_name: str = "",
    query_key: str = "",
) -> metric_types.MetricComputations:
    if ADDITIVE[metric].group and not (query_key or key):
        raise ValueError(f"{name} ranks within a {ADDITIVE[metric].group}'s impressions: give its metrics_specs a query_key")
    if query_key and not ADDITIVE[metric].group:
        raise ValueError(f"{name} is a metric of impressions: give it a metrics_specs without query_key, received {query_key!r}")
    metric_key = metric_types.MetricKey(name=name, model_name=model_name, output_name=output_name)
    group = key if ADDITIVE[metric].group and not query_key else None
    preprocessors = [metric_types.FeaturePreprocessor(feature_keys=[group])] if group else None
    combiner = _SumCombiner(metric, metric_key, group, eval_config)
    return [metric_types.MetricComputation(keys=[metric_key], preprocessors=preprocessors, combiner=combiner)]


class _Additive(tfma.metrics.Metric):
    """A metric of `pipeline.additive`.

    Args:
        name: Of the metric in the results.
        key: Raw feature that tells users (or requests) apart, where an input holds several of them and there is no query key.
    """

    metric = ""

    def __init__(self, name: str = "", key: str = ""):
        super().__init__(metric_util.merge_per_key_computations(_computations), metric=self.metric, name=name or self.metric, key=key)

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name != "metric"}


class GAUC(_Additive):
    """The users' AUCs averaged by their impressions (DIN paper, equation 10); users with one class are skipped. Query metric."""

    metric = "gauc"


class OneClassUsers(_Additive):
    """Share of the users that GAUC skips: their impressions are all clicked, or all not. Query metric."""

    metric = "one_class_users"


class NDCG10(_Additive):
    """NDCG@10 with clicks as gains, averaged over the requests that have a click; ties count against the model. Query metric."""

    metric = "ndcg_10"


class MRR(_Additive):
    """Mean reciprocal rank of the first click, over the requests that have one; ties count against the model. Query metric."""

    metric = "mrr"


class ImpressionCount(_Additive):
    """Number of impressions, under TFMA's name `example_count`; TFMA's own counts inputs."""

    metric = "example_count"


class LogLoss(_Additive):
    """Binary cross entropy in nats. TFMA's own is right for inputs of one impression only."""

    metric = "log_loss"


class NormalizedEntropy(_Additive):
    """Log loss over that of always saying the base rate (He et al., 2014, equation 1): 1 tells nothing, lower is better."""

    metric = "normalized_entropy"


class Calibration(_Additive):
    """Predicted over observed clicks: 1 is best."""

    metric = "calibration"


class Accuracy(_Additive):
    """Share of the impressions on whose side of 0.5 the probability lies."""

    metric = "accuracy"


class CalibrationError(_Additive):
    """Expected calibration error: |predicted − clicked| of ten bins of equal width, averaged by their impressions (Naeini et al., 2015)."""

    metric = "calibration_error"


for _class in (GAUC, OneClassUsers, NDCG10, MRR, ImpressionCount, LogLoss, NormalizedEntropy, Calibration, Accuracy, CalibrationError):
    metric_types.register_metric(_class)
