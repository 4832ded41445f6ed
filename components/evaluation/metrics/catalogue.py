"""The list of all metrics: the TFMA class of each, and whether higher or lower is better. Importing it does not import TensorFlow."""

import math
from typing import Literal, NamedTuple

PROBABILITY = "probability"  # the model's output
OVERALL = "overall"  # the slice of all impressions
# Columns to slice by: how many impressions in train/ the user has, and how many the candidate item has, in buckets.
USER_ACTIVITY, ITEM_POPULARITY = "user_activity", "item_popularity"


class Metric(NamedTuple):
    """A metric of the eval split.

    Attributes:
        class_name: The class in `components.evaluation.tfma.tfma_metrics`.
        better: Which values are better; None if neither, so that "worse than the baseline" has no meaning.
        within: The group of impressions that it ranks, if it ranks within groups.
        highest: No value is greater. All values are 0 or more.
    """

    class_name: str
    better: Literal["higher", "lower"] | None
    within: Literal["user", "request"] | None = None
    highest: float = 1.0


METRICS = {
    "auc": Metric("AUC", "higher"),
    "gauc": Metric("GAUC", "higher", "user"),
    "one_class_users": Metric("OneClassUsers", None, "user"),  # the share of the users that GAUC skips
    "pr_auc": Metric("AveragePrecision", "higher"),
    "log_loss": Metric("LogLoss", "lower", highest=math.inf),
    "normalized_entropy": Metric("NormalizedEntropy", "lower", highest=math.inf),
    "calibration": Metric("Calibration", None, highest=math.inf),  # predicted over observed clicks: 1 is best
    "calibration_error": Metric("CalibrationError", "lower"),
    "accuracy": Metric("Accuracy", "higher"),
    "ndcg_10": Metric("NDCG10", "higher", "request"),
    "mrr": Metric("MRR", "higher", "request"),
    "example_count": Metric("ImpressionCount", None, highest=math.inf),
}

REPORTED = tuple(name for name in METRICS if name != "example_count")  # in the order in which reports show them
