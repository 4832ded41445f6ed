"""Scores impressions in JSON lines, with an exported model or with a served one."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from components.base.errors import InputError
from components.base.saved_models import load_saved_model
from components.evaluation.labels import probabilities
from components.evaluation.metrics.catalogue import PROBABILITY
from components.serving.model.exported_features import read_features
from components.serving.model.foreign_ops import refuse_foreign_operations
from components.serving.model.impression_tensors import predict_tensors, to_example
from components.serving.model.impression_values import Impression, unread_keys
from din_trainer.raw_inputs import Features, inputs_of, known_names
from pipeline.online.client import Client, InvalidRequest, ServingError
from pipeline.predict.json_lines import read_json_lines

_BATCH = 1024


class ImpressionScorer(Protocol):
    """A model that scores impressions, wherever it runs.

    Attributes:
        features: What the model reads.
    """

    features: Features

    def prepare(self, row: Impression) -> Any:
        """Converts an impression to the form that `score` takes.

        Raises:
            ValueError: The model does not read such an impression.
        """

    def score(self, prepared: list[Any], where: str) -> list[dict[str, float]]:
        """Returns the probability of each label, by the name of the output, for each impression.

        Args:
            prepared: What `prepare` returned.
            where: Lines of the file, for messages.

        Raises:
            InputError: The impressions cannot be scored. The sentence begins with `where` if they are the cause.
        """


class Scorer:
    """An exported model in this process. It has the signatures of `din_trainer.export.signatures`, and reads serialised tf.Examples.

    Args:
        model: The SavedModel.

    Raises:
        InputError: The folder holds no such model.
    """

    def __init__(self, model: Path):
        import tensorflow as tf

        self.features: Features = read_features(model)
        self._inputs = inputs_of(self.features)
        refuse_foreign_operations(model)
        try:
            self._model = load_saved_model(model)  # kept, because the signatures do not keep its tables alive
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise InputError(f"{model} cannot be loaded ({' '.join(str(error).split())[:200]}): copy or push it again.") from error
        signature = self._model.signatures.get("serving_default")
        if signature is None or PROBABILITY not in signature.structured_outputs:
            raise InputError(f"{model} has no signature serving_default that gives {PROBABILITY!r}: name a model that was exported by din.")

    def score_examples(self, serialized: list[bytes]) -> list[dict[str, float]]:
        """Returns the probability of each label, by the name of the output, for each serialised tf.Example."""
        import tensorflow as tf

        outputs = self._model.signatures["serving_default"](examples=tf.constant(serialized))
        return _by_row({name: outputs[name].numpy().tolist() for name in probabilities(outputs)})

    def prepare(self, row: Impression) -> bytes:
        return to_example(row, self._inputs)

    def score(self, prepared: list[bytes], where: str) -> list[dict[str, float]]:
        import tensorflow as tf

        try:
            return self.score_examples(prepared)
        except tf.errors.InvalidArgumentError as error:
            reason = " ".join(str(error.message).split(" [[")[0].split())
            raise InputError(f"{where}: the model cannot read an impression ({reason}): add what is missing.") from error


class ServedScorer:
    """A model that a server offers.

    Args:
        url: As `pipeline.online.client.Client` takes it.

    Raises:
        InputError: The server does not answer, or its model was not exported by this project.
    """

    def __init__(self, url: str):
        try:
            self._client = Client(url)
            self.features: Features = self._client.features()
        except (ValueError, ServingError) as error:
            raise InputError(str(error)) from error

    def prepare(self, row: Impression) -> Impression:
        predict_tensors([row], self.features)
        return row

    def score(self, prepared: list[Impression], where: str) -> list[dict[str, float]]:
        try:
            return _by_row(self._client.predict_labels(prepared))
        except InvalidRequest as error:
            raise InputError(f"{where}: {error}") from error
        except ServingError as error:
            raise InputError(str(error)) from error


def _by_row(scores: dict[str, list[float]]) -> list[dict[str, float]]:
    return [dict(zip(scores, row, strict=True)) for row in zip(*scores.values(), strict=True)]


def predict_jsonl(scorer: ImpressionScorer, file: Path, notes: list[str]) -> Iterator[dict[str, Any]]:
    """Yields each impression of a JSONL file, in order, with its probability added, or those of all labels.

    Args:
        scorer: The model.
        file: One JSON object a line; blank lines are left out.
        notes: Receives, at the end, sentences on what may be a mistake: no impressions, keys that the model does not read, features that no
            line has.

    Raises:
        InputError: The file is missing or not JSON, a feature is missing or has a wrong value (the message names the line), or the server
            does not answer.
    """
    batch: list[tuple[int, Impression, Any]] = []
    keys: Counter[str] = Counter()

    def flush() -> Iterator[dict[str, Any]]:
        where = f"{file}, line {batch[0][0]}" if len(batch) == 1 else f"{file}, lines {batch[0][0]} to {batch[-1][0]}"
        scores = scorer.score([prepared for _, _, prepared in batch], where)
        for (_, row, _), added in zip(batch, scores, strict=True):
            yield {**row, **added}
        batch.clear()

    for number, row in read_json_lines(file):
        try:
            batch.append((number, row, scorer.prepare(row)))
        except ValueError as error:
            raise InputError(f"{file}, line {number}: {error}.") from error
        keys.update(key for key, value in row.items() if value is not None)
        if len(batch) == _BATCH:
            yield from flush()
    if batch:
        yield from flush()
    notes += _notes(file, set(keys), scorer.features)


def _notes(file: Path, keys: set[str], features: Features) -> Iterator[str]:
    if not keys:
        yield f"{file} holds no impressions."
    columns = {read.column.name: read.column for read in inputs_of(features)}
    if unread := unread_keys(keys - set(probabilities(keys)) - known_names(features), columns.keys()):
        yield f"{file}: the model does not read {', '.join(map(repr, unread))}."
    if keys and (absent := sorted(columns.keys() - keys)):
        yield f"{file}: no line has {', '.join(map(repr, absent))}, so each counts as missing (a history as empty)."
