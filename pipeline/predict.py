"""Scoring with an exported model: JSON lines, or a folder of TFRecords in Beam."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from pipeline.errors import InputError

_BATCH = 1024
PROBABILITY = "probability"


def check_model(model: Path) -> None:
    """Checks that a folder is a SavedModel.

    Raises:
        InputError: It is not.
    """
    if not (model / "saved_model.pb").is_file():
        raise InputError(f"{model} holds no saved_model.pb: give --model a version folder, such as workspace/serving/demo/<version>.")


class Scorer:
    """A SavedModel with the signatures of `din_trainer.export`.

    Raises:
        InputError: The folder holds no such model.
    """

    def __init__(self, model: Path):
        check_model(model)
        self._model = tf.saved_model.load(str(model))  # kept, since the signatures do not keep its tables alive
        self._signatures = self._model.signatures
        if "predict" not in self._signatures:
            raise InputError(f"{model} has no signature 'predict': it was not exported by this pipeline.")
        inputs = self._signatures["predict"].structured_input_signature[1]
        self._dtypes = {name: spec.dtype for name, spec in inputs.items()}

    def score_examples(self, serialized: list[bytes]) -> list[float]:
        """Click probabilities of serialised tf.Examples."""
        return self._signatures["serving_default"](examples=tf.constant(serialized))[PROBABILITY].numpy().tolist()

    def to_example(self, row: dict[str, Any]) -> bytes:
        """A JSON object as a serialised tf.Example; features that the model does not read are left out.

        Raises:
            ValueError: A value is not of the feature's type.
        """
        example = tf.train.Example()
        for name, dtype in self._dtypes.items():
            values = row.get(name, [])
            values = values if isinstance(values, list) else [values]
            feature = example.features.feature[name]
            try:
                if dtype == tf.int64:
                    feature.int64_list.value.extend(values)
                elif dtype == tf.string:
                    feature.bytes_list.value.extend(value.encode() for value in values)
                else:
                    feature.float_list.value.extend(values)
            except (TypeError, AttributeError, ValueError) as error:
                raise ValueError(f"feature {name!r} is {json.dumps(row[name])}, but {dtype.name} is needed") from error
            if not values:
                del example.features.feature[name]
        return example.SerializeToString()


def _read_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with open(file, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise InputError(f"{file}, line {number}: a JSON object is needed, one impression a line.")
                    yield number, row
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): give a JSONL file, such as a data set's sample.jsonl.") from error
    except ValueError as error:  # JSON and UTF-8 alike
        raise InputError(f"{file} is not JSON lines ({error}): write one JSON object a line.") from error


def _score(scorer: Scorer, serialized: list[bytes], where: str) -> list[float]:
    try:
        return scorer.score_examples(serialized)
    except tf.errors.InvalidArgumentError as error:
        reason = " ".join(str(error.message).split(" [[")[0].split())
        raise InputError(f"{where}: the model cannot read an impression ({reason}): add what is missing.") from error


def predict_jsonl(model: Path, file: Path) -> Iterator[dict[str, Any]]:
    """Yields each row of a JSONL file with its click probability added, in order.

    Raises:
        InputError: No such model or file, broken JSON, a missing or mistyped feature (with its line).
    """
    scorer = Scorer(model)
    batch: list[tuple[int, dict[str, Any], bytes]] = []

    def flush() -> Iterator[dict[str, Any]]:
        where = f"{file}, line {batch[0][0]}" if len(batch) == 1 else f"{file}, lines {batch[0][0]} to {batch[-1][0]}"
        scores = _score(scorer, [example for _, _, example in batch], where)
        for (_, row, _), score in zip(batch, scores, strict=True):
            yield {**row, PROBABILITY: score}
        batch.clear()

    for number, row in _read_rows(file):
        try:
            batch.append((number, row, scorer.to_example(row)))
        except ValueError as error:
            raise InputError(f"{file}, line {number}: {error}.") from error
        if len(batch) == _BATCH:
            yield from flush()
    if batch:
        yield from flush()


def sample_predictions(model: Path, serialized: list[bytes], rows: Iterable[dict[str, Any]], shown: list[str]) -> list[dict[str, Any]]:
    """Scores of a few impressions beside their label and the features in `shown`."""
    scores = Scorer(model).score_examples(serialized)
    return [{**{name: row[name] for name in shown if name in row}, PROBABILITY: score} for row, score in zip(rows, scores, strict=True)]
