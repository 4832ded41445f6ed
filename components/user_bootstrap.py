"""Computes confidence intervals of the metrics over users, also of the difference from the baseline, and the curves of the report."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.artifact_types import INTERVALS_FILE, ConfidenceIntervals
from components.base.example_reader import read_schema, split_files
from components.evaluation.curve_points import curves
from components.evaluation.labels import Label
from components.evaluation.poisson_bootstrap import intervals
from components.evaluation.scored_split import Scored, cut
from components.evaluation.slices import slice_text


def _natural(value: Any) -> tuple[float, str]:
    """The sort key of a slice's value: numbers and buckets by number (`6-10` before `11-20`), other values by text."""
    begin = str(value).partition("-")[0]
    return (float(begin) if begin.isdecimal() else math.inf, str(value))


def evaluate(scored: Scored, settings: dict[str, Any]) -> dict[str, Any]:
    """The content of `intervals.json`: the settings, the slices with their counts and intervals, and the overall curves.

    They are those of the first of `labels`; `further_labels` has the slices and curves of the others by name.
    """
    first, *others = (Label(*label) for label in settings["labels"])
    return {
        "confidence": settings["confidence"],
        "replicates": settings["replicates"],
        "labels": [first.name, *(label.name for label in others)],
        **_evaluate_label(scored, first, settings),
        "further_labels": {label.name: _evaluate_label(scored, label, settings) for label in others},
    }


def _evaluate_label(scored: Scored, label: Label, settings: dict[str, Any]) -> dict[str, Any]:
    keyed = list(cut(scored, settings["slices"], label, settings["user"], settings["request"]))
    order = {tuple(asked["features"]): number for number, asked in enumerate(settings["slices"])}
    keyed.sort(key=lambda pair: (order[tuple(feature for feature, _ in pair[0])], [_natural(value) for _, value in pair[0]]))
    users = int(max((piece.user.max() for _, piece in keyed), default=-1)) + 1
    found = intervals([piece for _, piece in keyed], users, settings["replicates"], settings["confidence"], settings["seed"])
    rows = [
        {
            "slice": slice_text(key),
            "key": [list(part) for part in key],
            "examples": len(piece.label),
            "clicks": int(piece.label.sum()),
            "users": len(np.unique(piece.user)) if settings["user"] else None,
            "metrics": metrics,
        }
        for (key, piece), metrics in zip(keyed, found, strict=True)
    ]
    clicked = scored.columns[label.column]
    return {"slices": rows, "curves": {name: curves(clicked, score) for name, score in scored.scores[label.name].items()}}


@component
def UserBootstrap(
    examples: InputArtifact[standard_artifacts.Examples],
    schema: InputArtifact[standard_artifacts.Schema],
    model: InputArtifact[standard_artifacts.Model],
    intervals: OutputArtifact[ConfidenceIntervals],
    settings: Parameter[str],
    source_fingerprint: Parameter[str],
    baseline_model: InputArtifact[standard_artifacts.Model] = None,
) -> None:
    """Scores the eval split with the model and the baseline, and draws its users again and again. The needed columns are kept in memory.

    Args:
        examples: tf.Examples with the split `eval`.
        schema: Their schema.
        model: SavedModel with the signature `serving_default`.
        intervals: Receives `intervals.json`.
        settings: JSON object: `slices` (see `cut`), `labels` (the fields of each `Label`), `user`, `request`, `replicates`, `confidence`,
            `seed`.
        source_fingerprint: Changes with this code, so that TFX does not reuse old intervals.
        baseline_model: A SavedModel of the same kind, if there is a baseline.
    """
    del source_fingerprint
    asked = json.loads(settings)
    models = {"candidate": model, **({"baseline": baseline_model} if baseline_model else {})}
    features = {name for cut in asked["slices"] for name in cut["features"]}
    labels = [Label(*label) for label in asked["labels"]]
    names = sorted({*features, *(label.column for label in labels), *(asked[key] for key in ("user", "request") if asked[key])})
    paths = {name: path_utils.serving_model_path(artifact.uri) for name, artifact in models.items()}
    result = evaluate(Scored(split_files(examples, "eval"), read_schema(schema), names, paths, labels), asked)
    Path(intervals.uri).mkdir(parents=True, exist_ok=True)
    (Path(intervals.uri) / INTERVALS_FILE).write_text(json.dumps(result))
