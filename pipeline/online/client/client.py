"""Scores impressions and ranks candidates with a served model, TF Serving's or the stand-in's, over REST or gRPC.

    client = Client("http://127.0.0.1:8501/v1/models/demo")          # or …/models/demo/labels/canary, …/models/demo/versions/7
    client = Client("grpc://127.0.0.1:8500/demo")                    # or …/demo/labels/canary, …/demo/versions/7
    client.predict([{"user_id": 416, "candidate_item_id": 32, …}])   # [0.72]
    client.rank([{"user_id": 416, …}], [[{"candidate_item_id": 32, …}, {"candidate_item_id": 288, …}]])   # [[0.72, 0.31]]

Rows may have a `request_id` and a `timestamp`, by which a log of requests is joined to labels (docs/data.md). `serving_default` sends both.
Over gRPC, `predict` and `rank` send the id if all rows of a request have the same one. Over REST they cannot send it.

No file of the model is needed. Over REST, neither TensorFlow nor TFX is imported.
"""

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from components.serving.model.impression_tensors import (
    Features,
    Impression,
    Input,
    Tensors,
    check_impressions,
    inputs_of,
    predict_tensors,
    rank_tensors,
    to_example,
)
from din_trainer.features import LONGEST_HISTORY, TIMESTAMP, USER_ID, Column, FeatureConfig
from din_trainer.kinds import DType
from pipeline.online.client.connection import Connection, Signature
from pipeline.online.client.history_cut import most_recent
from pipeline.online.client.model_url import ModelUrl, parse_url
from pipeline.online.client.request_origin import common_id, origin_features
from pipeline.online.client.rest_connection import RestConnection
from pipeline.online.client.serving_errors import InvalidRequest, ServingError

_DTYPES: dict[str, DType] = {"DT_INT64": "int64", "DT_DOUBLE": "int64", "DT_STRING": "bytes", "DT_FLOAT": "float"}
_NUMBERS = ("DT_DOUBLE", "DT_FLOAT")


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
        self._features: Features | None = features
        self._signature, self._batch_size, self._pad_to = signature, batch_size, pad_to
        self._history_length = features.history_length if isinstance(features, FeatureConfig) else None
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
                self._features = _model_inputs(signatures)
            except KeyError as error:
                raise ServingError(f"{self.url} serves a model of another kind: it has an input {error} that no model here has.") from error
            self._history_length = _history_length(signatures)
        return self._features

    def predict(self, rows: Sequence[Impression]) -> list[float]:
        """Returns the click probabilities of impressions, in the same order.

        Raises:
            ValueError: A value is not of the feature's type, or a required value is missing.
            ServingError: The server gave no usable answer.
        """
        scores: list[float] = []
        for start in range(0, len(rows), self._batch_size):
            batch = rows[start : start + self._batch_size]
            scores += self._connection.run(self._signature, self._tensors(batch), (len(batch),), common_id(batch)).astype(float).tolist()
        return scores

    def rank(self, users: Sequence[Impression], candidates: Sequence[Sequence[Impression]]) -> list[list[float]]:
        """Returns the click probabilities of each user's candidates, in the same order.

        Args:
            users: For each user the features, the context and the histories.
            candidates: For each user the features of each candidate.

        Raises:
            ValueError: A value is not of the feature's type, or a required value is missing.
            ServingError: The server gave no usable answer.
        """
        if len(users) != len(candidates):
            raise ValueError(f"there are {len(users)} users, but {len(candidates)} lists of candidates")
        scores: list[list[float]] = []
        step = max(1, self._batch_size // max([1, *map(len, candidates)]))
        for start in range(0, len(users), step):
            rows = candidates[start : start + step]
            tensors = rank_tensors(self._cut(users[start : start + step]), rows, self.features(), self._width())
            answer = self._connection.run("rank", tensors, (len(rows), max(1, *map(len, rows))), common_id(users[start : start + step]))
            scores += [answer[index, : len(row)].astype(float).tolist() for index, row in enumerate(rows)]
        return scores

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
        histories = [read.column.name for read in inputs_of(self.features()) if read.column.presence == "sequence"]
        cut = [most_recent(row, histories, self._history_length) for row in rows] if self._history_length else list(rows)
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


def _model_inputs(signatures: dict[str, Signature]) -> list[Input]:
    """Derives what a model reads from the inputs of its signatures.

    A feature with two dimensions in `predict` is a history. One with two dimensions in `rank` alone belongs to the candidate. The
    candidate's features, the user's id and the time of the impression are required, the others may be missing.

    Raises:
        KeyError: An input has a type that no model of this pipeline has, or `rank` lacks it.
    """
    predict, rank = signatures["predict"].inputs, signatures["rank"].inputs
    result = []
    for name, (dtype, shape) in sorted(predict.items()):
        column = Column(name, _DTYPES[dtype], "context", "required" if name in (USER_ID, TIMESTAMP) else "optional")
        if len(shape) == 2:
            column = column._replace(role="behaviour", presence="sequence")
        elif len(rank[name][1]) == 2:
            column = column._replace(role="candidate", presence="required")
        result.append(Input(column, dtype in _NUMBERS))
    return result


def _history_length(signatures: dict[str, Signature]) -> int | None:
    """Returns the most events of a history that the model reads, which the outputs of `transform_features` show; None if they do not."""
    transformed = signatures["transform_features"].outputs if "transform_features" in signatures else {}
    histories = {name for name, (_, shape) in signatures["predict"].inputs.items() if len(shape) == 2}
    lengths = {shape[1] for name, (_, shape) in transformed.items() if name in histories and len(shape) == 2}
    return lengths.pop() if len(lengths) == 1 and 0 < min(lengths) <= LONGEST_HISTORY else None
