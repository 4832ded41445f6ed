"""Computes a few metrics of the model that is served now on new data, before another model learns from that data."""

import json
import math
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.artifact_types import SCORE_FILE, ModelScore
from components.base.example_reader import read_schema, split_files
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
    """Scores the eval split and writes the metrics of all its impressions.

    Args:
        examples: tf.Examples with the split `eval`.
        schema: Their schema.
        model: SavedModel with the signature `serving_default`.
        score: Receives `score.json`.
        settings: JSON object: `metrics` (names), `label` and `user` (names of features; `user` may be empty).
        source_fingerprint: Changes with this code, so that TFX does not reuse old metrics.
    """
    del source_fingerprint
    asked = json.loads(settings)
    names = [asked[key] for key in ("label", "user") if asked[key]]
    scored = Scored(split_files(examples, "eval"), read_schema(schema), names, {"served": path_utils.serving_model_path(model.uri)})
    ((_, whole),) = cut(scored, [{"features": [], "metrics": asked["metrics"]}], asked["label"], asked["user"], request="")
    metrics = {name: value if math.isfinite(value) else None for name, value in point_values(whole)["served"].items()}
    Path(score.uri).mkdir(parents=True, exist_ok=True)
    (Path(score.uri) / SCORE_FILE).write_text(json.dumps(metrics))
