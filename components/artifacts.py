"""What components of ours hand to each other, where TFX has no type for it."""

from tfx.types.artifact import Artifact

INTERVALS_FILE = "intervals.json"


class ConfidenceIntervals(Artifact):
    """A folder with `intervals.json`."""

    TYPE_NAME = "ConfidenceIntervals"
