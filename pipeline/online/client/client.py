"""Scores impressions and ranks candidates with a served model, TF Serving's or the stand-in's, over REST or gRPC.

    client = Client("http://127.0.0.1:8501/v1/models/demo")          # or …/models/demo/labels/canary, …/models/demo/versions/7
    client = Client("grpc://127.0.0.1:8500/demo")                    # or …/demo/labels/canary, …/demo/versions/7
    client.predict([{"user_id": 416, "candidate_item_id": 32, …}])   # [0.72]
    client.rank([{"user_id": 416, …}], [[{"candidate_item_id": 32, …}, {"candidate_item_id": 288, …}]])   # [[0.72, 0.31]]

No file of the model is needed. Over REST, neither TensorFlow nor TFX is imported.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Self

import numpy as np

from components.serving.model.impression_tensors import (
    Features,
    Impression,
    Input,
    Tensors,
    predict_tensors,
    rank_tensors,
    to_example,
)
from din_trainer.features import TIMESTAMP, USER_ID, Column, DType
from pipeline.online.client.connection import Connection, SignatureInputs
from pipeline.online.client.model_url import ModelUrl, parse_url
from pipeline.online.client.rest_connection import RestConnection
from pipeline.online.client.serving_errors import InvalidRequest

_DTYPES: dict[str, DType] = {"DT_INT64": "int64", "DT_DOUBLE": "int64", "DT_STRING": "bytes", "DT_FLOAT": "float"}
_NUMBERS = ("DT_DOUBLE", "DT_FLOAT")


class Client:
    """A served model, asked over REST or gRPC.

    Args:
        url: http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME, optionally followed by /versions/N or /labels/LABEL.
        features: What the model reads; None asks the server for its signatures.
        signature: The signature that `predict` uses; `serving_default` gets tf.Examples, for which TensorFlow is imported.
        batch_size: The largest number of impressions in a request. Several batches are sent one after another.
        timeout: Seconds. Over REST, the longest silence of the server; over gRPC, the time for a request with all its retries.
        retries: How often a request is sent again that finds no connection or an overloaded server; the pauses double. gRPC allows 4.

    Raises:
        ValueError: `url` is not the URL of a served model.
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
    ) -> None:
        model = parse_url(url)
        self.url = model.url
        self._features: Features | None = features
        self._signature, self._batch_size = signature, batch_size
        self._connection = _connect(model, timeout, retries)

    def features(self) -> Features:
        """Returns what the model reads; the server is asked only once.

        Raises:
            ServingError: The server gave no usable answer.
        """
        if self._features is None:
            signatures = self._connection.signatures()
            if not {"predict", "rank"} <= signatures.keys():
                raise InvalidRequest(f"{self.url} serves {', '.join(sorted(signatures))}, but predict and rank are needed.")
            self._features = _model_inputs(signatures)
        return self._features

    def predict(self, rows: Sequence[Impression]) -> list[float]:
        """Returns the click probabilities of impressions, in the same order.

        Raises:
            ValueError: A value is not of the feature's type, or a required value is missing.
            ServingError: The server gave no usable answer.
        """
        scores: list[float] = []
        for start in range(0, len(rows), self._batch_size):
            scores += self._connection.run(self._signature, self._tensors(rows[start : start + self._batch_size])).astype(float).tolist()
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
        features = self.features()
        scores: list[list[float]] = []
        step = max(1, self._batch_size // max([1, *map(len, candidates)]))
        for start in range(0, len(users), step):
            rows = candidates[start : start + step]
            answer = self._connection.run("rank", rank_tensors(users[start : start + step], rows, features))
            scores += [answer[index, : len(row)].astype(float).tolist() for index, row in enumerate(rows)]
        return scores

    def _tensors(self, rows: Sequence[Impression]) -> Tensors:
        if self._signature == "predict":
            return predict_tensors(rows, self.features())
        return {"examples": np.array([to_example(row, self.features()) for row in rows], object)}

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _connect(model: ModelUrl, timeout: float, retries: int) -> Connection:
    if model.rest:
        return RestConnection(model, timeout, retries)
    from pipeline.online.client.grpc_connection import GrpcConnection  # here, since it imports TensorFlow

    return GrpcConnection(model, timeout, retries)


def _model_inputs(signatures: dict[str, SignatureInputs]) -> list[Input]:
    """Derives what a model reads from the inputs of its signatures.

    A feature with two dimensions in `predict` is a history. One with two dimensions in `rank` alone belongs to the candidate. The
    candidate's features, the user's id and the time of the impression are required, the others may be missing.
    """
    predict, rank = signatures["predict"], signatures["rank"]
    result = []
    for name, (dtype, dimensions) in sorted(predict.items()):
        column = Column(name, _DTYPES[dtype], "context", "required" if name in (USER_ID, TIMESTAMP) else "optional")
        if dimensions == 2:
            column = column._replace(role="behaviour", presence="sequence")
        elif rank[name][1] == 2:
            column = column._replace(role="candidate", presence="required")
        result.append(Input(column, dtype in _NUMBERS))
    return result
