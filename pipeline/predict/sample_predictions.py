"""Scores of a few evaluation impressions, which `din run` shows beside their labels."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from components.base.tfrecord import read_batches, read_records
from din_trainer.features import LABEL, USER_ID, FeatureConfig
from din_trainer.kinds import Tags, Vector
from pipeline.datasets.sample_rows import to_json_rows
from pipeline.predict.score_json import Scorer


def sample_predictions(model: Path, files: Iterable[Path], features: FeatureConfig, count: int) -> list[dict[str, Any]]:
    """Scores the first impressions of the eval split.

    Args:
        model: A SavedModel.
        files: The files of the split.
        features: Their user features, but vectors, and candidates are returned, too.
        count: The number of impressions.

    Returns:
        One dictionary an impression: user, candidates, labels, the probability of each label, and the user's other features. What is
        missing has no key.
    """
    user = {name: feature for name, feature in features.user.items() if not isinstance(feature, Vector)}
    first = [USER_ID, *(behaviour.candidate for behaviour in features.behaviours.values()), LABEL, *features.labels[1:]]
    shown = [*first, *user]
    file = next(file for file in files if next(read_records(file), None) is not None)
    batch = next(read_batches(file, count))
    columns = [name for name in dict.fromkeys(shown) if name in batch.schema.names]
    tags = {name for name, feature in user.items() if isinstance(feature, Tags)}
    rows = to_json_rows(batch.select(columns), set(shown) - tags)
    scores = Scorer(model).score_examples(list(islice(read_records(file), count)))
    return [
        {**{name: row[name] for name in first if name in row}, **score, **{name: row[name] for name in user if name in row}}
        for row, score in zip(rows, scores, strict=True)
    ]
