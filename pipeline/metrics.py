"""The metrics of a run: what each is called in TFMA, and which way is better. Without TensorFlow, since the configuration needs it too."""

from typing import Literal, NamedTuple

PROBABILITY = "probability"  # the model's output
OVERALL = "overall"  # the slice of all impressions
USER_ACTIVITY, ITEM_POPULARITY = "user_activity", "item_popularity"  # bucketed impressions of the user, of the candidate item, in train/


class Metric(NamedTuple):
    """A metric of the eval split.

    Attributes:
        class_name: Of TFMA, or of `pipeline.tfma_metrics`.
        better: Which way; None where it is neither, so that there is no "worse than the baseline".
        module: Of the class; TFMA's own without one.
        within: What it ranks within, if anything.
        settings: Of the class.
    """

    class_name: str
    better: Literal["higher", "lower"] | None
    module: str = ""
    within: Literal["user", "request"] | None = None
    settings: tuple[tuple[str, int], ...] = ()


_OURS = "pipeline.tfma_metrics"
_THRESHOLDS = (("num_thresholds", 2000),)  # TFMA's 10,000 change an AUC by 1e-5 at most and cost a third of the evaluation

METRICS = {
    "auc": Metric("AUC", "higher", settings=_THRESHOLDS),
    "gauc": Metric("GAUC", "higher", _OURS, "user"),
    "one_class_users": Metric("OneClassUsers", None, _OURS, "user"),  # share of the users that GAUC skips
    "pr_auc": Metric("AUCPrecisionRecall", "higher", settings=_THRESHOLDS),
    "log_loss": Metric("LogLoss", "lower", _OURS),
    "normalized_entropy": Metric("NormalizedEntropy", "lower", _OURS),
    "calibration": Metric("Calibration", None, _OURS),  # predicted over observed clicks: 1 is best
    "calibration_error": Metric("CalibrationError", "lower", _OURS),
    "accuracy": Metric("Accuracy", "higher", _OURS),
    "ndcg_10": Metric("NDCG10", "higher", _OURS, "request"),
    "mrr": Metric("MRR", "higher", _OURS, "request"),
    "example_count": Metric("ImpressionCount", None, _OURS),
}

REPORTED = tuple(name for name in METRICS if name != "example_count")  # in the order of reports
