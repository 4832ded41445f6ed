"""The metrics of a run: what each is called in TFMA, and which way is better. Without TensorFlow, since the configuration needs it too."""

from typing import Literal, NamedTuple

PROBABILITY = "probability"  # the model's output
OVERALL = "overall"  # the slice of all impressions
USER_ACTIVITY, ITEM_POPULARITY = "user_activity", "item_popularity"  # bucketed impressions of the user, of the candidate item, in train/


class Metric(NamedTuple):
    """A metric of the eval split.

    Attributes:
        class_name: In `components.evaluation.tfma.tfma_metrics`.
        better: Which way; None where it is neither, so that there is no "worse than the baseline".
        within: What it ranks within, if anything.
    """

    class_name: str
    better: Literal["higher", "lower"] | None
    within: Literal["user", "request"] | None = None


METRICS = {
    "auc": Metric("AUC", "higher"),
    "gauc": Metric("GAUC", "higher", "user"),
    "one_class_users": Metric("OneClassUsers", None, "user"),  # share of the users that GAUC skips
    "pr_auc": Metric("AveragePrecision", "higher"),
    "log_loss": Metric("LogLoss", "lower"),
    "normalized_entropy": Metric("NormalizedEntropy", "lower"),
    "calibration": Metric("Calibration", None),  # predicted over observed clicks: 1 is best
    "calibration_error": Metric("CalibrationError", "lower"),
    "accuracy": Metric("Accuracy", "higher"),
    "ndcg_10": Metric("NDCG10", "higher", "request"),
    "mrr": Metric("MRR", "higher", "request"),
    "example_count": Metric("ImpressionCount", None),
}

REPORTED = tuple(name for name in METRICS if name != "example_count")  # in the order of reports
