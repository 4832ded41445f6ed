"""Computes a few metrics of the model that is served now on new data, before another model learns from that data."""

import json
import math
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.artifact_types import SCORE_FILE, ModelScore
from components.base.example_reader import read_schema, split_files
from components.evaluation.labels import Label
from components.evaluation.poisson_bootstrap import point_values
from components.evaluation.scored_split import Scored, cut


@component
def NewDataScore(
    examples: InputArtifact[standard_artifacts.Examples],
    schema: InputArtifact[standard_artifacts.Schema],
    model: InputArtifact[standard_artifacts.Model],
    score: OutputArtifact[ModelScore],
    settings: Parameter[str],
    source_fingerprint: Parameter[str],
) -> None:
    """Scores the eval split and writes the metrics of all its impressions, of each label that the model predicts.

    Args:
        examples: tf.Examples with the split `eval`.
        schema: Their schema.
        model: SavedModel with the signature `serving_default`.
        score: Receives `score.json`: the metrics of each label, by its name.
        settings: JSON object: `metrics` (names), `labels` (the fields of each `Label`) and `user` (the name of the feature, or empty).
        source_fingerprint: Changes with this code, so that TFX does not reuse old metrics.
    """
    del source_fingerprint
    asked = json.loads(settings)
    labels = [Label(*label) for label in asked["labels"]]
    names = [*(label.column for label in labels), *([asked["user"]] if asked["user"] else [])]
    models = {"served": path_utils.serving_model_path(model.uri)}
    scored = Scored(split_files(examples, "eval"), read_schema(schema), names, models, labels)
    metrics = {label.name: _metrics(scored, label, asked) for label in labels if scored.scores[label.name]}
    Path(score.uri).mkdir(parents=True, exist_ok=True)
    (Path(score.uri) / SCORE_FILE).write_text(json.dumps(metrics))


def _metrics(scored: Scored, label: Label, asked: dict[str, Any]) -> dict[str, float | None]:
    ((_, whole),) = cut(scored, [{"features": [], "metrics": asked["metrics"]}], label, asked["user"], request="")
    return {name: value if math.isfinite(value) else None for name, value in point_values(whole)["served"].items()}
