"""Measures how much each feature matters to the model, with an interval over users."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.artifact_types import IMPORTANCE_FILE, ImportanceFigures
from components.base.example_encoder import encode_examples
from components.base.example_reader import RAW, read_batches, read_schema, split_files
from components.base.saved_models import load_saved_model
from components.evaluation.permutation import draw_rows, exchanged_features, exchanged_scores, users_of
from components.evaluation.poisson_bootstrap import Slice, intervals, point_values
from components.evaluation.slices import slice_rows, slice_text, values_of
from din_trainer.features import LABEL, USER_ID, FeatureConfig
from din_trainer.reading.parsed_examples import example_spec

_SCORES = 200_000  # the most impressions that are scored, over all features: some seconds
_BATCH = 4096


def measure(impressions: pa.RecordBatch, model: Any, features: FeatureConfig, settings: dict[str, Any]) -> dict[str, Any]:
    """The content of `importance.json`.

    Args:
        impressions: With `label`, and `user_id` if there are users.
        model: The SavedModel's function `serving_default`.
        features: The features of the model.
        settings: `slices` (lists of features), `replicates`, `confidence`, `seed`.

    Returns:
        `examples`, `confidence`, and `slices`: for each slice its text, `examples`, `auc`, and for each feature `lost` (the AUC that is
        lost without it) with the ends of its interval, the most important first.
    """

    def score(batch: pa.RecordBatch) -> np.ndarray:
        asked = [name for name in example_spec(features) if name in batch.schema.names]
        examples = encode_examples(batch.select(asked)).to_pylist()
        parts = [model(examples=tf.constant(examples[i : i + _BATCH]))["probability"].numpy() for i in range(0, len(examples), _BATCH)]
        return np.concatenate(parts).astype(np.float64)

    label = impressions.column(LABEL).flatten().to_numpy().astype(np.float64)
    user = users_of(impressions)
    whole, exchanged = score(impressions), exchanged_scores(impressions, features, score, settings["seed"])
    slices = []
    for names in [[], *settings["slices"]]:
        columns = {name: values_of(impressions.column(name)) for name in names}
        for key, rows in slice_rows(columns, len(label)):
            cuts = [
                Slice(label[rows], {"candidate": whole[rows], "baseline": scores[rows]}, user[rows], None, ["auc"])
                for scores in exchanged.values()
            ]
            slices.append({"slice": slice_text(key), **_figures(dict(zip(exchanged, cuts, strict=True)), settings)})
    return {"examples": len(label), "confidence": settings["confidence"], "slices": slices}


def _figures(cuts: dict[str, Slice], settings: dict[str, Any]) -> dict[str, Any]:
    """The importance of each feature on one slice."""
    users = int(max(cut.user.max() for cut in cuts.values())) + 1
    found = intervals(list(cuts.values()), users, settings["replicates"], settings["confidence"], settings["seed"])
    points = [point_values(cut) for cut in cuts.values()]
    rows: list[dict[str, Any]] = [
        {"feature": name, "lost": point["candidate"]["auc"] - point["baseline"]["auc"], "low": low, "high": high}
        for name, point, (low, high) in zip(cuts, points, (interval["auc"]["change"] for interval in found), strict=True)
    ]
    first = next(iter(cuts.values()))
    known = [row for row in rows if np.isfinite(row["lost"])]
    auc = points[0]["candidate"]["auc"]
    return {
        "examples": len(first.label),
        "auc": auc if np.isfinite(auc) else None,
        "features": sorted(known, key=lambda row: -row["lost"]),
    }


@component
def FeatureImportance(
    examples: InputArtifact[standard_artifacts.Examples],
    schema: InputArtifact[standard_artifacts.Schema],
    model: InputArtifact[standard_artifacts.Model],
    importance: OutputArtifact[ImportanceFigures],
    features: Parameter[str],
    settings: Parameter[str],
    source_fingerprint: Parameter[str],
) -> None:
    """Exchanges the values of each feature between impressions of eval/, and measures the AUC that the model loses.

    Args:
        examples: tf.Examples with the split `eval`.
        schema: Their schema.
        model: SavedModel with the signature `serving_default`.
        importance: Receives `importance.json`.
        features: `FeatureConfig` as JSON.
        settings: JSON object, as `measure` has it, and `impressions`: how many are drawn at most.
        source_fingerprint: Changes with this code, so that TFX does not reuse old figures.
    """
    del source_fingerprint
    asked, config = json.loads(settings), FeatureConfig.model_validate_json(features)
    names = {*example_spec(config), LABEL, *(name for cut in asked["slices"] for name in cut)}
    if USER_ID in config.user:
        names.add(USER_ID)
    most = min(asked["impressions"], _SCORES // (1 + len(exchanged_features(config))))
    batches = (batch.drop_columns([RAW]) for batch in read_batches(split_files(examples, "eval"), read_schema(schema), names))
    served = load_saved_model(path_utils.serving_model_path(model.uri)).signatures["serving_default"]
    result = measure(draw_rows(batches, most, asked["seed"]), served, config, asked)
    Path(importance.uri).mkdir(parents=True, exist_ok=True)
    (Path(importance.uri) / IMPORTANCE_FILE).write_text(json.dumps(result))
