"""Checks that an exported model gives the same scores as the trained model: on real and rare impressions, through every signature."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.artifact_types import SAMENESS_FILE, SAMPLE_FILE, ScoredSample
from components.base.example_reader import RAW, read_batches, read_schema, split_files
from components.base.saved_models import load_saved_model
from components.base.score_tolerance import allowed_difference
from components.serving.model.impression_tensors import Impression, as_impressions, inputs_of, predict_tensors, rank_tensors, to_example
from din_trainer.features import LABEL, FeatureConfig
from din_trainer.trainer import KERAS_FILE

_USERS, _CANDIDATES, _ALONE = 64, 4, 8
ALONE = "one by one"  # the first few impressions, each in its own request
_UNKNOWN = {"int64": 2**62, "bytes": "never seen"}


class Sample(NamedTuple):
    """Users, and the same number of candidates for each, with all raw columns that Transform reads."""

    users: list[Impression]
    candidates: list[list[Impression]]


def read_impressions(files: list[str], schema: Any, features: FeatureConfig) -> Iterator[Impression]:
    """Yields impressions, with bytes as text. Bytes that are not UTF-8 become Python's surrogates, which JSON keeps."""
    sequences = {column.name for column in features.columns if column.presence == "sequence"}
    for batch in read_batches(files, schema):
        names = [name for name in batch.schema.names if name != RAW]
        for row in batch.select(names).to_pylist():
            yield {name: _plain(values or [], name in sequences) for name, values in row.items()}


def _plain(values: list[Any], sequence: bool) -> Any:
    texts = [value.decode(errors="surrogateescape") if isinstance(value, bytes) else value for value in values]
    return texts if sequence else texts[0] if texts else None


def make_sample(rows: list[Impression], features: FeatureConfig) -> Sample:
    """Gives the user of each impression its own candidate and those of the next impressions, and adds three rare users.

    The rare users have nothing that may be missing, more events than the model keeps, and candidates that are in no vocabulary.
    """
    columns = [column for column in features.columns if column.role == "candidate"]
    own = [{column.name: row[column.name] for column in columns} for row in rows]
    candidates = [[own[(i + k) % len(rows)] for k in range(_CANDIDATES)] for i in range(len(rows))]
    histories = [column.name for column in features.columns if column.presence == "sequence"]
    longest = max(rows, key=lambda row: len(row.get(histories[0]) or []))
    optional = [column.name for column in features.columns if column.presence == "optional"]
    short = {**rows[0], **{name: [] for name in histories}, **dict.fromkeys(optional)}
    long = {**longest, **{name: (longest.get(name) or []) * (features.history_length + 1) for name in histories}}
    unknown = {column.name: _UNKNOWN[column.dtype] for column in columns}
    return Sample([*rows, short, long, rows[0]], [*candidates, candidates[0], candidates[0], [unknown] * _CANDIDATES])


def trained_scores(model: Any, transform_output: tft.TFTransformOutput, rows: list[Impression]) -> tuple[np.ndarray, dict[str, Any]]:
    """Scores impressions as training does: Transform's own graph, then the Keras model.

    Returns:
        Probabilities (B,), and the transformed features by name.
    """
    spec = transform_output.raw_feature_spec()
    schema = transform_output.raw_metadata.schema
    coder = tft.coders.ExampleProtoCoder(schema)
    scalars = {name for name, feature in spec.items() if isinstance(feature, tf.io.FixedLenFeature)}
    instances = [{name: _instance(row.get(name), name in scalars) for name in spec} for row in rows]
    transformed = transform_output.transform_raw_features(tf.io.parse_example([coder.encode(row) for row in instances], spec))
    features = {name: values for name, values in transformed.items() if name != LABEL}
    return tf.sigmoid(model.infer(features)).numpy(), features


def _instance(value: Any, scalar: bool) -> Any:
    values = value if isinstance(value, list) else [] if value is None else [value]
    values = [x.encode(errors="surrogateescape") if isinstance(x, str) else x for x in values]
    return values[0] if scalar else values


def served_scores(signatures: Any, sample: Sample, features: FeatureConfig) -> dict[str, np.ndarray]:
    """The export's probabilities (B,) for all users with all candidates, by signature, and one by one for the first few."""
    rows = as_impressions(sample.users, sample.candidates)
    examples = [to_example(row, features) for row in rows]

    def ask(signature: str, inputs: dict[str, np.ndarray]) -> np.ndarray:
        return signatures[signature](**{name: _tensor(values) for name, values in inputs.items()})["probability"].numpy().ravel()

    def ask_examples(part: list[bytes]) -> np.ndarray:
        return ask("serving_default", {"examples": np.array(part, object)})

    return {
        "serving_default": ask_examples(examples),
        ALONE: np.concatenate([ask_examples([example]) for example in examples[:_ALONE]]),
        "predict": ask("predict", predict_tensors(rows, features)),
        "rank": ask("rank", rank_tensors(sample.users, sample.candidates, features)),
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
        The trained model's probabilities (B,), and the content of `sameness.json`: examples, allowed, differences (by signature, None if
        not finite), largest_difference (None if not finite) and refused_because.
    """
    features: FeatureConfig = model.din_config.features
    rows = as_impressions(sample.users, sample.candidates)
    expected, transformed = trained_scores(model, transform_output, rows)
    allowed = allowed_difference(tolerance, expected)
    found: dict[str, Any] = {"examples": len(rows), "allowed": allowed, "differences": {}, "largest_difference": None}
    read = sorted({read.column.name for read in inputs_of(features)} & transformed.keys())
    try:
        loaded = load_saved_model(saved_model)
        scores = served_scores(loaded.signatures, sample, features)
        examples = np.array([to_example(row, features) for row in rows], object)
        outputs = loaded.signatures["transform_features"](examples=_tensor(examples))
        seen = {name: np.asarray(outputs[name]) for name in read}
    except Exception as error:  # an export that fails in any way is refused, and Verdict reports it
        lines = str(error).strip().splitlines() or [""]
        return expected, {**found, "refused_because": f"the export cannot be loaded or run ({type(error).__name__}: {lines[0][:300]})."}
    differences = {way: largest_difference(score, expected[:_ALONE] if way == ALONE else expected) for way, score in scores.items()}
    differences["transform_features"] = max(largest_difference(seen[name], transformed[name]) for name in read)
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
        sample: Receives `sample.json` (users, candidates, the trained model's probability for each) and `sameness.json` (see `compare`).
        tolerance: The largest allowed difference of a score (see `allowed_difference`).
        source_fingerprint: Changes with this code, so that TFX does not reuse an old result.
    """
    del source_fingerprint
    trained = keras.models.load_model(Path(model_run.uri) / KERAS_FILE, compile=False)
    features: FeatureConfig = trained.din_config.features
    rows = list(islice(read_impressions(split_files(examples, "eval"), read_schema(schema), features), _USERS))
    asked = make_sample(rows, features)
    transform_output = tft.TFTransformOutput(transform_graph.uri)
    expected, found = compare(Path(path_utils.serving_model_dir(model.uri)), trained, transform_output, asked, tolerance)
    folder = Path(sample.uri)
    folder.mkdir(parents=True, exist_ok=True)
    probability = expected.astype(float).reshape(len(asked.users), _CANDIDATES).tolist()
    (folder / SAMPLE_FILE).write_text(json.dumps({"users": asked.users, "candidates": asked.candidates, "probability": probability}) + "\n")
    (folder / SAMENESS_FILE).write_text(json.dumps(found) + "\n")
