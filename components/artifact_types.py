"""What components of ours hand to each other, where TFX has no type for it."""

from tfx.types.artifact import Artifact

INTERVALS_FILE = "intervals.json"
SAMPLE_FILE = "sample.json"
SAMENESS_FILE = "sameness.json"
LOADING_FILE = "loading.json"


class ConfidenceIntervals(Artifact):
    """A folder with `intervals.json`."""

    TYPE_NAME = "ConfidenceIntervals"


class ScoredSample(Artifact):
    """A folder with `sample.json`: users with candidates, and the scores that the model gave them in training's own graph.

    Beside it lies `sameness.json`: how far the export's scores are from those.
    """

    TYPE_NAME = "DinScoredSample"
