"""The metrics of a run: what each is called in TFMA, and which way is better. Without TensorFlow, since the configuration needs it too."""

from typing import Literal, NamedTuple

PROBABILITY = "probability"  # the model's output


class Metric(NamedTuple):
    """A metric of the eval split.

    Attributes:
        class_name: Of TFMA.
        better: Which way; None where it is neither, so that there is no "worse than the baseline".
    """

    class_name: str
    better: Literal["higher", "lower"] | None


METRICS = {
    "auc": Metric("AUC", "higher"),
    "log_loss": Metric("BinaryCrossEntropy", "lower"),
    "calibration": Metric("Calibration", None),  # predicted over observed clicks: 1 is best
    "accuracy": Metric("BinaryAccuracy", "higher"),
}

# In the order of reports. GAUC is known of the oracle alone so far.
REPORTED = ("auc", "gauc", "log_loss", "calibration", "accuracy")
