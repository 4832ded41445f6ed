"""Scoring with an exported model: JSON lines, or a folder of TFRecords in Beam."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from pipeline.errors import InputError
from pipeline.exported import read_features
from pipeline.metrics import PROBABILITY

_BATCH = 1024


class Scorer:
    """A SavedModel with the signatures of `din_trainer.export`.

    Raises:
        InputError: The folder holds no such model.
    """

    def __init__(self, model: Path):
        self._columns = read_features(model).columns
        try:
            self._model = tf.saved_model.load(str(model))  # kept, since the signatures do not keep its tables alive
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise InputError(f"{model} cannot be loaded ({' '.join(str(error).split())[:200]}): copy or push it again.") from error

    def score_examples(self, serialized: list[bytes]) -> list[float]:
        """Click probabilities of serialised tf.Examples."""
        return self._model.signatures["serving_default"](examples=tf.constant(serialized))[PROBABILITY].numpy().tolist()

    def to_example(self, row: dict[str, Any]) -> bytes:
        """A JSON object as a serialised tf.Example; features that the model does not read are left out.

        Raises:
            ValueError: A value is not of the feature's type.
        """
        example = tf.train.Example()
        for column in self._columns:
            values = row.get(column.name, [])
            values = values if isinstance(values, list) else [values]
            if not values:
                continue
            feature = example.features.feature[column.name]
            try:
                if column.dtype == "int64":
                    feature.int64_list.value.extend(values)
                elif column.dtype == "bytes":
                    feature.bytes_list.value.extend(value.encode() for value in values)
                else:
                    feature.float_list.value.extend(values)
            except (TypeError, AttributeError, ValueError) as error:
                raise ValueError(f"feature {column.name!r} is {json.dumps(row[column.name])}, but {column.dtype} is needed") from error
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


def score_impressions(scorer: Scorer, serialized: list[bytes], where: str) -> list[float]:
    """Scores impressions that come from a user.

    Raises:
        InputError: A feature is missing or mistyped; the sentence begins with `where`.
    """
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
        scores = score_impressions(scorer, [example for _, _, example in batch], where)
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
