"""Scores impressions and ranks candidates with a served model, TF Serving's or the stand-in's, over REST or gRPC.

    client = Client("http://127.0.0.1:8501/v1/models/demo")          # or …/models/demo/labels/canary, …/models/demo/versions/7
    client = Client("grpc://127.0.0.1:8500/demo")                    # or …/demo/labels/canary, …/demo/versions/7
    client.predict([{"user_id": 416, "candidate_item_id": 32, …}])   # [0.72]
    client.rank([{"user_id": 416, …}], [[{"candidate_item_id": 32, …}, {"candidate_item_id": 288, …}]])   # [[0.72, 0.31]]
    client.predict_labels([{"user_id": 416, …}])   # a model of several labels: {"probability": [0.72], "probability_purchase": [0.04]}

A row is as in `sample.jsonl`: tags and vectors are lists, and those of events are lists of lists. Each candidate has its own fields.

Rows may have a `request_id` and a `timestamp`, by which a log of requests is joined to labels (docs/data.md). `serving_default` sends both.
Over gRPC, `predict` and `rank` send the id if all rows of a request have the same one. Over REST they cannot send it.

No file of the model is needed. Over REST, neither TensorFlow nor TFX is imported.
"""

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from components.evaluation.labels import labels_of, probabilities
from components.evaluation.metrics.catalogue import PROBABILITY
from components.serving.model.impression_tensors import (
    Features,
    Impression,
    Tensors,
    check_impressions,
    inputs_of,
    predict_tensors,
    rank_tensors,
    to_example,
)
from din_trainer.features import FeatureConfig
from pipeline.online.client.connection import Connection
from pipeline.online.client.history_cut import most_recent
from pipeline.online.client.model_url import ModelUrl, parse_url
from pipeline.online.client.request_origin import common_id, origin_features
from pipeline.online.client.rest_connection import RestConnection
from pipeline.online.client.served_inputs import served_history_length, served_inputs
from pipeline.online.client.serving_errors import InvalidRequest, ServingError


class Client:
    """A served model, asked over REST or gRPC.

    Args:
        url: http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME, optionally followed by /versions/N or /labels/LABEL.
        features: What the model reads; None asks the server for its signatures, which also tell the model's history length.
        signature: The signature that `predict` uses; `serving_default` gets tf.Examples, for which TensorFlow is imported.
        batch_size: The largest number of impressions in a request. Several batches are sent one after another.
        timeout: Seconds that a request may take with all its retries, whatever the server does.
        retries: How often a request is sent again that got no answer, or found an overloaded server; the pauses double. gRPC allows 4.
        pad_to: The number of events that each history is padded to in `predict` and `rank`. TF Serving merges only requests of one width
            (`--enable_batching`). None takes the model's history length where it is known, otherwise the longest history of the request.

    Raises:
        ValueError: `url` is not the URL of a served model, or a number is out of range.
    """

    def __init__(
        self,
        url: str,
        *,
        features: Features | None = None,
        signature: Literal["predict", "serving_default"] = "predict",
        batch_size: int = 1024,
        timeout: float = 10.0,
        retries: int = 3,
        pad_to: int | None = None,
    ) -> None:
        if not (0 < timeout < math.inf and retries >= 0 and batch_size >= 1 and (pad_to is None or pad_to >= 1)):
            raise ValueError("timeout, batch_size and pad_to must be positive numbers, and retries must not be negative.")
        self._arguments = (url, features, signature, batch_size, timeout, retries, pad_to)
        model = parse_url(url)
        self.url = model.url
        self._features: Features | None = None if features is None else inputs_of(features)
        self._outputs = [label.output for label in labels_of(features)] if isinstance(features, FeatureConfig) else [PROBABILITY]
        self._signature, self._batch_size, self._pad_to = signature, batch_size, pad_to
        self._history_length = features.longest_history if isinstance(features, FeatureConfig) else None
        self._connection = _connect(model, timeout, retries)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets a client of its own, with connections of its own."""
        return _make, self._arguments

    def features(self) -> Features:
        """Returns what the model reads; the server is asked only once.

        Raises:
            ServingError: The server gave no usable answer.
        """
        if self._features is None:
            signatures = self._connection.signatures()
            if not {"predict", "rank"} <= signatures.keys():
                raise InvalidRequest(
                    f"{self.url} serves {', '.join(sorted(signatures)) or 'no signatures'}, but predict and rank are needed."
                )
            try:
                self._features = inputs = served_inputs(signatures)
            except KeyError as error:
                raise ServingError(f"{self.url} serves a model of another kind: it has an input {error} that no model here has.") from error
            self._history_length = served_history_length(signatures, inputs)
            self._outputs = probabilities(signatures["predict"].outputs)
        return self._features

    def predict(self, rows: Sequence[Impression]) -> list[float]:
        """Returns the probabilities of impressions (of a model of several labels, those of the first one), in the same order.

        Raises:
            ValueError: A value is not of the feature's type, or a required value is missing.
            ServingError: The server gave no usable answer.
        """
        return self._predict(rows, [PROBABILITY])[PROBABILITY]

    def predict_labels(self, rows: Sequence[Impression]) -> dict[str, list[float]]:
        """Returns what `predict` does for every label, by the name of the output: `probability`, then `probability_LABEL`.

        Raises:
            ValueError, ServingError: As for `predict`.
        """
        return self._predict(rows, self._all_outputs())

    def rank(self, users: Sequence[Impression], candidates: Sequence[Sequence[Impression]]) -> list[list[float]]:
        """Returns the probabilities of each user's candidates (of a model of several labels, those of the first one), in the same order.

        Args:
            users: For each user the features, the context and the histories.
            candidates: For each user the features of each candidate.

        Raises:
            ValueError: A value is not of the feature's type, or a required value is missing.
            ServingError: The server gave no usable answer.
        """
        return self._rank(users, candidates, [PROBABILITY])[PROBABILITY]

    def rank_labels(self, users: Sequence[Impression], candidates: Sequence[Sequence[Impression]]) -> dict[str, list[list[float]]]:
        """Returns what `rank` does for every label, by the name of the output: `probability`, then `probability_LABEL`.

        Args:
            users: As for `rank`.
            candidates: As for `rank`.

        Raises:
            ValueError, ServingError: As for `rank`.
        """
        return self._rank(users, candidates, self._all_outputs())

    def _predict(self, rows: Sequence[Impression], outputs: Sequence[str]) -> dict[str, list[float]]:
        scores: dict[str, list[float]] = {name: [] for name in outputs}
        for start in range(0, len(rows), self._batch_size):
            batch = rows[start : start + self._batch_size]
            answer = self._connection.run(self._signature, self._tensors(batch), outputs, (len(batch),), common_id(batch))
            for name in outputs:
                scores[name] += answer[name].astype(float).tolist()
        return scores

    def _rank(
        self, users: Sequence[Impression], candidates: Sequence[Sequence[Impression]], outputs: Sequence[str]
    ) -> dict[str, list[list[float]]]:
        if len(users) != len(candidates):
            raise ValueError(f"there are {len(users)} users, but {len(candidates)} lists of candidates")
        scores: dict[str, list[list[float]]] = {name: [] for name in outputs}
        step = max(1, self._batch_size // max([1, *map(len, candidates)]))
        for start in range(0, len(users), step):
            part, rows = users[start : start + step], candidates[start : start + step]
            tensors = rank_tensors(self._cut(part), rows, self.features(), self._width())
            answer = self._connection.run("rank", tensors, outputs, (len(rows), max(1, *map(len, rows))), common_id(part))
            for name in outputs:
                scores[name] += [answer[name][index, : len(row)].astype(float).tolist() for index, row in enumerate(rows)]
        return scores

    def _all_outputs(self) -> list[str]:
        """Returns the names of the model's probabilities, the first label's first."""
        self.features()
        return self._outputs

    def _tensors(self, rows: Sequence[Impression]) -> Tensors:
        if self._signature == "predict":
            return predict_tensors(self._cut(rows), self.features(), self._width())
        examples = [to_example(row, self.features()) + origin_features(row, self.features()) for row in rows]
        return {"examples": np.array(examples, object)}

    def _width(self) -> int:
        return self._pad_to or self._history_length or 1

    def _cut(self, rows: Sequence[Impression]) -> list[Impression]:
        """Returns the rows without the events that the model does not read.

        Raises:
            ValueError: A history is still longer than `pad_to`, or the histories of a sequence differ in length, which a cut would hide.
        """
        check_impressions(rows, self.features())
        inputs = inputs_of(self.features())
        histories = [read.column.name for read in inputs if read.column.presence == "sequence"]
        cut = [most_recent(row, inputs, self._history_length) for row in rows] if self._history_length else list(rows)
        for name in histories if self._pad_to else ():
            longest = max((len(row[name]) for row in cut if isinstance(row.get(name), list)), default=0)
            if longest > self._width():
                raise ValueError(f"feature {name!r} has {longest} events, but pad_to is {self._pad_to}: give a larger pad_to")
        return cut

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _make(url: str, features: Features | None, signature: Any, batch_size: int, timeout: float, retries: int, pad_to: int | None) -> Client:
    return Client(url, features=features, signature=signature, batch_size=batch_size, timeout=timeout, retries=retries, pad_to=pad_to)


def _connect(model: ModelUrl, timeout: float, retries: int) -> Connection:
    if model.rest:
        return RestConnection(model, timeout, retries)
    from pipeline.online.client.grpc_connection import GrpcConnection  # here, since it imports TensorFlow

    return GrpcConnection(model, timeout, retries)
