"""The project's metrics as TFMA metrics: TFMA lacks some of them, and computes the others one impression at a time.

Each is computed from sums: see `components.evaluation.metrics.sum_metrics` and `components.evaluation.metrics.auc`.

Any EvalConfig can use them by class name and module. Query metrics need the key of their queries:

    metrics_specs {
      query_key: "user_id"
      metrics { class_name: "GAUC" module: "components.evaluation.tfma.tfma_metrics" }
    }

An input has one impression, or all impressions of a query. Without a query key, but with `key`, it may have all impressions of several
users (or requests), and the feature `key` says which impression belongs to which. Example weights are ignored.
"""

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types, metric_util

from components.evaluation.metrics.auc import RANKED, areas, level_counts
from components.evaluation.metrics.sum_metrics import ADDITIVE, Impressions, contributions


class _SumCombiner(beam.CombineFn):
    """Adds up the sums of one metric of one model over all inputs."""

    def __init__(self, metric: str, key: metric_types.MetricKey, group: str | None, eval_config: Any):
        self._metric, self._key, self._group, self._eval_config = metric, key, group, eval_config

    def create_accumulator(self) -> Any:
        return 0.0

    def add_input(self, accumulator: Any, element: metric_types.StandardMetricInputs) -> Any:
        label, score = _label_and_score(element, self._key, self._eval_config)
        group = element.features[self._group].ravel() if self._group else np.zeros(len(label))
        return accumulator + contributions(self._metric, Impressions(label, score, group, group)).sum(axis=0)

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        return sum(accumulators)

    def extract_output(self, accumulator: Any) -> metric_types.MetricsDict:
        return {self._key: float(ADDITIVE[self._metric].value(accumulator)) if np.ndim(accumulator) else float("nan")}


class _AreaCombiner(beam.CombineFn):
    """Keeps all scores of one model, those without a click and those with one, because exact areas need them: 8 bytes an impression."""

    def __init__(self, key: metric_types.MetricKey, eval_config: Any):
        self._key, self._eval_config = key, eval_config

    def create_accumulator(self) -> list[bytearray]:
        return [bytearray(), bytearray()]

    def add_input(self, accumulator: list[bytearray], element: metric_types.StandardMetricInputs) -> list[bytearray]:
        label, score = _label_and_score(element, self._key, self._eval_config)
        for clicked, scores in enumerate(accumulator):
            scores += score[label == clicked].tobytes()
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[list[bytearray]]) -> list[bytearray]:
        return [bytearray().join(parts) for parts in zip(*accumulators, strict=True)]

    def extract_output(self, accumulator: list[bytearray]) -> metric_types.MetricsDict:
        others, clicks = (np.frombuffer(scores) for scores in accumulator)
        label = np.repeat([0.0, 1.0], [len(others), len(clicks)])
        return {self._key: areas(*level_counts(label, np.concatenate([others, clicks])))}


def _label_and_score(
    element: metric_types.StandardMetricInputs, key: metric_types.MetricKey, eval_config: Any
) -> tuple[np.ndarray, np.ndarray]:
    """The labels and scores of an input in double precision: (N,), (N,)."""
    label, score, _ = next(
        metric_util.to_label_prediction_example_weight(element, eval_config, key.model_name, key.output_name, flatten=False)
    )
    return label.ravel().astype(np.float64), score.ravel().astype(np.float64)


def _computations(
    metric: str,
    name: str,
    key: str,
    eval_config: Any = None,
    model_name: str = "",
    output_name: str = "",
    query_key: str = "",
) -> metric_types.MetricComputations:
    within = ADDITIVE[metric].group if metric in ADDITIVE else ""
    if within and not (query_key or key):
        raise ValueError(f"{name} ranks within a {within}'s impressions: give its metrics_specs a query_key")
    if query_key and not within:
        raise ValueError(f"{name} is a metric of impressions: give it a metrics_specs without query_key, received {query_key!r}")
    metric_key = metric_types.MetricKey(name=name, model_name=model_name, output_name=output_name)
    if metric in RANKED:
        return _area_computations(metric, metric_key, eval_config)
    group = key if within and not query_key else None
    preprocessors = [metric_types.FeaturePreprocessor(feature_keys=[group])] if group else None
    combiner = _SumCombiner(metric, metric_key, group, eval_config)
    return [metric_types.MetricComputation(keys=[metric_key], preprocessors=preprocessors, combiner=combiner)]


def _area_computations(metric: str, key: metric_types.MetricKey, eval_config: Any) -> metric_types.MetricComputations:
    """AUC and average precision are read from one computation, which TFMA makes once for both."""
    both = metric_types.MetricKey(name="_areas", model_name=key.model_name, output_name=key.output_name)
    return [
        metric_types.MetricComputation(keys=[both], preprocessors=None, combiner=_AreaCombiner(both, eval_config)),
        metric_types.DerivedMetricComputation(keys=[key], result=lambda found: {key: float(found[both][metric])}),
    ]


class _Metric(tfma.metrics.Metric):
    """A metric of `components.evaluation.metrics.sum_metrics` or `components.evaluation.metrics.auc`.

    Args:
        name: The name of the metric in the results.
        key: The raw feature with the user (or request) id, for inputs with several users and no query key.
    """

    metric = ""

    def __init__(self, name: str = "", key: str = ""):
        super().__init__(metric_util.merge_per_key_computations(_computations), metric=self.metric, name=name or self.metric, key=key)

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name != "metric"}


class AUC(_Metric):
    """The area under the ROC curve, exact at any spread of the scores."""

    metric = "auc"


class AveragePrecision(_Metric):
    """The area under the precision-recall curve, exact at any spread of the scores."""

    metric = "pr_auc"


class GAUC(_Metric):
    """The mean of the users' AUCs, weighted by impressions (DIN paper, equation 10). Users with one class are skipped. A query metric."""

    metric = "gauc"


class OneClassUsers(_Metric):
    """The share of the users that GAUC skips: their impressions are all clicked, or all not clicked. A query metric."""

    metric = "one_class_users"


class NDCG10(_Metric):
    """NDCG@10 with clicks as gains, the mean over the requests with a click. Ties count against the model. A query metric."""

    metric = "ndcg_10"


class MRR(_Metric):
    """The mean reciprocal rank of the first click, over the requests with a click. Ties count against the model. A query metric."""

    metric = "mrr"


class ImpressionCount(_Metric):
    """The number of impressions, under TFMA's name `example_count`. TFMA's own metric counts inputs."""

    metric = "example_count"


class LogLoss(_Metric):
    """Binary cross entropy in nats. TFMA's own metric is correct only for inputs with one impression."""

    metric = "log_loss"


class NormalizedEntropy(_Metric):
    """The log loss divided by that of always predicting the base rate (He et al., 2014, equation 1). Lower is better."""

    metric = "normalized_entropy"


class Calibration(_Metric):
    """Predicted clicks divided by observed clicks: 1 is best."""

    metric = "calibration"


class Accuracy(_Metric):
    """The share of the impressions whose probability is above 0.5 if they are clicked, and not above 0.5 if they are not."""

    metric = "accuracy"


class CalibrationError(_Metric):
    """Expected calibration error: the mean |predicted − clicked| of ten equal bins, weighted by impressions (Naeini et al., 2015)."""

    metric = "calibration_error"


for _class in (
    AUC,
    AveragePrecision,
    GAUC,
    OneClassUsers,
    NDCG10,
    MRR,
    ImpressionCount,
    LogLoss,
    NormalizedEntropy,
    Calibration,
    Accuracy,
    CalibrationError,
):
    metric_types.register_metric(_class)
