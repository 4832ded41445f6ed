"""The types of artifacts that TFX lacks, and the names of the files that our components leave in artifacts.

The names of the types have the form that Kubeflow demands.
"""

from tfx.types.artifact import Artifact

INTERVALS_FILE = "intervals.json"
SCORE_FILE = "score.json"
SAMPLE_FILE = "sample.json"
SAMENESS_FILE = "sameness.json"
LOADING_FILE = "loading.json"
IMPORTANCE_FILE = "importance.json"
TRIALS_FILE = "trials.json"  # in the TunerResults of TFX: the values of each trial and how it ended


class ConfidenceIntervals(Artifact):
    """A folder with `intervals.json`."""

    TYPE_NAME = "din.ConfidenceIntervals"


class ScoredSample(Artifact):
    """A folder with `sample.json` and `sameness.json`.

    `sample.json` has users with candidates, and the scores that the trained model gave them. `sameness.json` has how much the export's
    scores differ from these.
    """

    TYPE_NAME = "din.ScoredSample"


class DriftFigures(Artifact):
    """A folder with `drift.json`: how far the training data is from other data, feature by feature."""

    TYPE_NAME = "din.DriftFigures"


class ModelScore(Artifact):
    """A folder with `score.json`: metrics of a model by label and name, null where a metric is not defined."""

    TYPE_NAME = "din.ModelScore"


class ImportanceFigures(Artifact):
    """A folder with `importance.json`: how much AUC the model loses without each feature."""

    TYPE_NAME = "din.ImportanceFigures"


TYPES: tuple[type[Artifact], ...] = (ConfidenceIntervals, ScoredSample, DriftFigures, ModelScore, ImportanceFigures)
