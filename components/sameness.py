"""Checks that an exported model gives the same scores as the trained model: on real and rare impressions, through every signature."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from components.artifact_types import SAMENESS_FILE, SAMPLE_FILE, ScoredSample
from components.base.example_encoder import encode_examples
from components.base.example_reader import read_schema, split_files
from components.base.saved_models import load_saved_model
from components.base.score_tolerance import allowed_difference
from components.base.table_joiner import Joiner
from components.evaluation.labels import labels_of
from components.serving.model.impression_tensors import Impression, as_impressions, predict_tensors, rank_tensors, to_example
from components.serving.sample_impressions import CANDIDATES, Sample, make_sample, read_impressions
from din_trainer.features import LABEL, TIMESTAMP, FeatureConfig
from din_trainer.lookups.table_file import read_tables
from din_trainer.raw_inputs import data_inputs, inputs_of
from din_trainer.trainer import KERAS_FILE
from din_trainer.transform.raw_schema import make_schema

_USERS, _ALONE = 64, 8
_NEWEST = tf.train.Example(
    features=tf.train.Features(feature={TIMESTAMP: tf.train.Feature(int64_list=tf.train.Int64List(value=[2**63 - 1]))})
).SerializeToString()
ALONE = "one by one"  # the first few impressions, each in its own request


def trained_scores(model: Any, transform_output: tft.TFTransformOutput, rows: list[Impression]) -> tuple[np.ndarray, dict[str, Any]]:
    """Scores impressions as training does: Transform's own graph, then the Keras model.

    Returns:
        Probabilities (B, labels), and the transformed features by name.
    """
    features: FeatureConfig = model.din_config.features
    inputs = data_inputs(features)
    examples = _with_attributes([to_example(row, inputs) for row in rows], features)
    transformed = transform_output.transform_raw_features(tf.io.parse_example(examples, transform_output.raw_feature_spec()))
    further = {LABEL, *features.labels[1:]}
    known = {name: values for name, values in transformed.items() if name not in further}
    return tf.sigmoid(model.infer(known)).numpy().reshape(len(rows), len(features.labels)), known


def _with_attributes(examples: list[bytes], features: FeatureConfig) -> list[bytes]:
    """Adds the attributes that tables have to serialised tf.Examples: the newest, which a request gets."""
    if not features.lookups:
        return examples
    asked = TIMESTAMP in {column.name for column in features.columns}
    times = [example if asked else example + _NEWEST for example in examples]
    batch = ExamplesToRecordBatchDecoder(make_schema(features, {TIMESTAMP: "int64"}).SerializeToString()).DecodeBatch(times)
    added = encode_examples(Joiner(features).attributes(batch)).to_pylist()
    return [example + attributes for example, attributes in zip(examples, added, strict=True)]  # two messages after another are one


def at_the_newest(rows: list[Impression], features: FeatureConfig) -> list[Impression]:
    """Moves impressions behind the newest row of every table, so that each signature reads the same rows for them."""
    times = [table.times[-1] for table in read_tables(features).values()]
    newest = int(max(times, default=0))
    return [{**row, TIMESTAMP: max(row[TIMESTAMP], newest)} if row.get(TIMESTAMP) is not None else row for row in rows]


def served_scores(signatures: Any, sample: Sample, features: FeatureConfig) -> dict[str, np.ndarray]:
    """The export's probabilities (B, labels) for all users with all candidates, by signature, and one by one for the first few."""
    rows, inputs = as_impressions(sample.users, sample.candidates), inputs_of(features)
    examples = [to_example(row, inputs) for row in rows]

    def ask(signature: str, tensors: dict[str, np.ndarray]) -> np.ndarray:
        outputs = signatures[signature](**{name: _tensor(values) for name, values in tensors.items()})
        return np.stack([outputs[label.output].numpy().ravel() for label in labels_of(features)], axis=1)

    def ask_examples(part: list[bytes]) -> np.ndarray:
        return ask("serving_default", {"examples": np.array(part, object)})

    return {
        "serving_default": ask_examples(examples),
        ALONE: np.concatenate([ask_examples([example]) for example in examples[:_ALONE]]),
        "predict": ask("predict", predict_tensors(rows, inputs)),
        "rank": ask("rank", rank_tensors(sample.users, sample.candidates, inputs)),
    }


def _tensor(values: np.ndarray) -> tf.Tensor:
    return tf.constant(values.tolist(), tf.string, values.shape) if values.dtype == object else tf.constant(values)


def largest_difference(found: Any, expected: Any) -> float:
    """The largest absolute difference between two arrays; infinite if their shapes differ or a number is not finite."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        return float("inf")
    difference = np.abs(found - expected)
    return float(difference.max(initial=0.0)) if np.isfinite(difference).all() else float("inf")


def explain_difference(differences: dict[str, float], allowed: float) -> str | None:
    """Why the export is refused, in one sentence; None if it is not refused."""
    worst = max(differences, key=lambda way: differences[way])
    if differences[worst] <= allowed:
        return None
    if not np.isfinite(differences[worst]):
        return f"the export's numbers by {worst} are not finite or too few, or the trained model's are not finite."
    off = f"up to {differences[worst]:.2g} off the trained model's, {allowed:.2g} is allowed (serving.tolerance)"
    return f"the export's numbers by {worst} are {off}."


def compare(
    saved_model: Path, model: Any, transform_output: tft.TFTransformOutput, sample: Sample, tolerance: float
) -> tuple[np.ndarray, dict[str, Any]]:
    """Scores the sample with the trained model and with the export.

    Returns:
        The trained model's probabilities (B, labels), and the content of `sameness.json`: examples, allowed, differences (by signature,
        None if not finite), largest_difference (None if not finite) and refused_because.
    """
    features: FeatureConfig = model.din_config.features
    rows = as_impressions(sample.users, sample.candidates)
    expected, transformed = trained_scores(model, transform_output, rows)
    allowed = allowed_difference(tolerance, expected)
    found: dict[str, Any] = {"examples": len(rows), "allowed": allowed, "differences": {}, "largest_difference": None}
    asked = {read.column.name for read in inputs_of(features)} & transformed.keys()
    try:
        loaded = load_saved_model(saved_model)
        scores = served_scores(loaded.signatures, sample, features)
        examples = np.array([to_example(row, features) for row in rows], object)
        outputs = loaded.signatures["transform_features"](examples=_tensor(examples))
        seen = {name: np.asarray(outputs[name]) for name in asked | (outputs.keys() & transformed.keys())}
    except Exception as error:  # an export that fails in any way is refused, and Verdict reports it
        lines = str(error).strip().splitlines() or [""]
        return expected, {**found, "refused_because": f"the export cannot be loaded or run ({type(error).__name__}: {lines[0][:300]})."}
    differences = {way: largest_difference(score, expected[:_ALONE] if way == ALONE else expected) for way, score in scores.items()}
    differences["transform_features"] = max(largest_difference(seen[name], transformed[name]) for name in seen)
    largest = max(differences.values())
    found |= {
        "differences": {way: value if np.isfinite(value) else None for way, value in differences.items()},
        "largest_difference": largest if np.isfinite(largest) else None,
    }
    return expected, {**found, "refused_because": explain_difference(differences, allowed)}


@component
def Sameness(
    examples: InputArtifact[standard_artifacts.Examples],
    schema: InputArtifact[standard_artifacts.Schema],
    transform_graph: InputArtifact[standard_artifacts.TransformGraph],
    model: InputArtifact[standard_artifacts.Model],
    model_run: InputArtifact[standard_artifacts.ModelRun],
    sample: OutputArtifact[ScoredSample],
    tolerance: Parameter[float],
    source_fingerprint: Parameter[str],
) -> None:
    """Compares an export with its trained model on impressions of the eval split. It reports a difference, and Verdict refuses the model.

    Args:
        examples: The impressions.
        schema: Their schema.
        transform_graph: Transform's output, which made the training data.
        model: The export.
        model_run: Trainer's output with the Keras model.
        sample: Receives `sample.json` (users, candidates, the trained model's probability of each label for each) and
            `sameness.json` (see `compare`).
        tolerance: The largest allowed difference of a score (see `allowed_difference`).
        source_fingerprint: Changes with this code, so that TFX does not reuse an old result.
    """
    del source_fingerprint
    trained = keras.models.load_model(Path(model_run.uri) / KERAS_FILE, compile=False)
    features: FeatureConfig = trained.din_config.features
    rows = list(islice(read_impressions(split_files(examples, "eval"), read_schema(schema), features), _USERS))
    asked = make_sample(at_the_newest(rows, features), features)
    transform_output = tft.TFTransformOutput(transform_graph.uri)
    expected, found = compare(Path(path_utils.serving_model_dir(model.uri)), trained, transform_output, asked, tolerance)
    folder = Path(sample.uri)
    folder.mkdir(parents=True, exist_ok=True)
    shape = (len(features.labels), len(asked.users), CANDIDATES)
    scores = dict(zip((label.output for label in labels_of(features)), expected.T.astype(float).reshape(shape).tolist(), strict=True))
    (folder / SAMPLE_FILE).write_text(json.dumps({"users": asked.users, "candidates": asked.candidates, **scores}) + "\n")
    (folder / SAMENESS_FILE).write_text(json.dumps(found) + "\n")
