"""Scores from a served model, TF Serving's or the stand-in's, over REST or gRPC. Nothing of the model needs to be at hand.

    client = Client("http://127.0.0.1:8501/v1/models/demo")          # or …/models/demo/labels/canary, …/models/demo/versions/7
    client = Client("grpc://127.0.0.1:8500/demo")                    # or …/demo/labels/canary, …/demo/versions/7
    client.predict([{"user_id": 416, "candidate_item_id": 32, …}])   # [0.72]
    client.rank([{"user_id": 416, …}], [[{"candidate_item_id": 32, …}, {"candidate_item_id": 288, …}]])   # [[0.72, 0.31]]

Over REST, TensorFlow is not imported.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

import numpy as np
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from components.evaluation.metrics.catalogue import PROBABILITY
from components.serving.model.impression_tensors import (
    Features,
    Impression,
    Input,
    Tensors,
    json_inputs,
    predict_tensors,
    rank_tensors,
    to_example,
)
from din_trainer.features import TIMESTAMP, USER_ID, Column, DType

_URL = re.compile(
    r"(?:(?P<rest>https?://[^/]+)/v1/models|grpc://(?P<grpc>[^/]+))/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?/?"
)
_RETRIED = (429, 503)
_BACKOFF_SECONDS = 0.1  # doubles a try
_DTYPES: dict[str, DType] = {"DT_INT64": "int64", "DT_DOUBLE": "int64", "DT_STRING": "bytes", "DT_FLOAT": "float"}


class ServingError(Exception):
    """A model server did not answer as it should: one sentence, with the address."""


class Unavailable(ServingError):
    """It cannot be reached, or is overloaded, after all retries."""


class Timeout(ServingError):
    """It took too long."""


class InvalidRequest(ServingError):
    """It refused the request itself."""


class NotFound(ServingError):
    """It does not serve this model or version. (Of a label that is not there TF Serving says that the request is invalid.)"""


_NUMBERS = ("DT_DOUBLE", "DT_FLOAT")

_BY_STATUS: dict[int, type[ServingError]] = {
    400: InvalidRequest,
    404: NotFound,
    408: Timeout,
    413: InvalidRequest,
    429: Unavailable,
    503: Unavailable,
    504: Timeout,
}
_BY_CODE: dict[str, type[ServingError]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "FAILED_PRECONDITION": InvalidRequest,
    "OUT_OF_RANGE": InvalidRequest,
    "NOT_FOUND": NotFound,
    "DEADLINE_EXCEEDED": Timeout,
    "RESOURCE_EXHAUSTED": Unavailable,
    "UNAVAILABLE": Unavailable,
}


class Target(NamedTuple):
    """What a URL names; without version and label, the server's latest version."""

    url: str
    rest: str | None
    grpc: str | None
    name: str
    version: str | None
    label: str | None


def parse_url(url: str) -> Target:
    """Reads the URL of a served model.

    Raises:
        ValueError: It is none.
    """
    found = _URL.fullmatch(url)
    if not found:
        raise ValueError(
            f"{url} names no served model: give http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME, "
            "and behind it /versions/N or /labels/LABEL if another than the latest is meant."
        )
    try:
        urlsplit(url).port  # noqa: B018  # which is checked as it is read
    except ValueError as error:
        raise ValueError(f"{url}: {str(error)[0].lower()}{str(error)[1:]}.") from error
    return Target(url.rstrip("/"), **found.groupdict())


_Inputs = dict[str, tuple[str, int]]  # of a signature, by name: type, as `DT_INT64`, and rank


class _Transport(ABC):
    """One protocol."""

    @abstractmethod
    def signatures(self) -> dict[str, _Inputs]:
        """The inputs of each signature of the served version.

        Raises:
            ServingError: It did not answer.
        """

    @abstractmethod
    def run(self, signature: str, tensors: Tensors) -> np.ndarray:
        """The probabilities that a signature gives.

        Raises:
            ServingError: It did not answer.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends its connections."""


class _Rest(_Transport):
    def __init__(self, target: Target, timeout: float, retries: int) -> None:
        which = f"/versions/{target.version}" if target.version else f"/labels/{target.label}" if target.label else ""
        self._shown = target.url
        self._url = f"{target.rest}/v1/models/{target.name}{which}"
        self._timeout = timeout
        retry = Retry(
            total=retries,
            read=False,  # what was sent may be at work: not again
            other=0,
            redirect=0,
            status_forcelist=_RETRIED,
            allowed_methods=None,  # POST too, since predictions change nothing
            backoff_factor=_BACKOFF_SECONDS,
            raise_on_status=False,
        )
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def _ask(self, method: str, path: str, wanted: str, body: Any = None) -> Any:
        """What an answer has under the key `wanted`."""
        data = None if body is None else json.dumps(body).encode()  # NaN included, which TF Serving reads
        try:
            response = self._session.request(
                method, self._url + path, data=data, headers={"Content-Type": "application/json"}, timeout=self._timeout
            )
        except requests.ReadTimeout as error:
            raise Timeout(f"{self._shown} gave no answer within {self._timeout:g} s.") from error
        except requests.RequestException as error:
            raise Unavailable(f"{self._shown} cannot be reached ({_reason(error)}): is a server running there?") from error
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.status_code == 200 and isinstance(answer, dict) and wanted in answer:
            return answer[wanted]
        what = answer.get("error") if isinstance(answer, dict) else None
        kind = _BY_STATUS.get(response.status_code, ServingError)
        raise kind(f"{self._shown} answered {response.status_code}: {_one_line(what or response.text or response.reason)}")

    def signatures(self) -> dict[str, _Inputs]:
        found = self._ask("GET", "/metadata", "metadata")
        try:
            return {
                name: {key: (info["dtype"], len(info["tensor_shape"]["dim"])) for key, info in signature["inputs"].items()}
                for name, signature in found["signature_def"]["signature_def"].items()
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise ServingError(f"{self._shown} answered metadata in which no signatures are: is it TF Serving?") from error

    def run(self, signature: str, tensors: Tensors) -> np.ndarray:
        outputs = self._ask("POST", ":predict", "outputs", {"signature_name": signature, "inputs": json_inputs(tensors)})
        try:
            return np.array(outputs[PROBABILITY] if isinstance(outputs, dict) else outputs, np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise ServingError(f"{self._shown} answered without probabilities: does it serve a model of this pipeline?") from error

    def close(self) -> None:
        self._session.close()


class _Grpc(_Transport):
    def __init__(self, target: Target, timeout: float, retries: int) -> None:
        import grpc
        from tensorflow_serving.apis.model_pb2 import ModelSpec
        from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

        self._shown, self._timeout = target.url, timeout
        self._spec = ModelSpec(name=target.name, version_label=target.label)
        if target.version:
            self._spec.version.value = int(target.version)
        policy = {
            "maxAttempts": retries + 1,
            "initialBackoff": f"{_BACKOFF_SECONDS}s",
            "maxBackoff": "10s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
        }
        methods = {"name": [{"service": "tensorflow.serving.PredictionService"}], **({"retryPolicy": policy} if retries else {})}
        options = [
            ("grpc.service_config", json.dumps({"methodConfig": [methods]})),
            ("grpc.initial_reconnect_backoff_ms", int(_BACKOFF_SECONDS * 1000)),
            ("grpc.max_receive_message_length", -1),
        ]
        self._channel = grpc.insecure_channel(target.grpc, options)
        self._stub = PredictionServiceStub(self._channel)

    def _ask(self, method: Any, request: Any) -> Any:
        import grpc

        try:
            return method(request, timeout=self._timeout)
        except grpc.RpcError as error:
            code, details = error.code().name, _one_line(error.details() or "")
            if code == "DEADLINE_EXCEEDED":
                raise Timeout(f"{self._shown} gave no answer within {self._timeout:g} s.") from error
            raise _BY_CODE.get(code, ServingError)(f"{self._shown} answered {code}: {details}") from error

    def signatures(self) -> dict[str, _Inputs]:
        from tensorflow.core.framework.types_pb2 import DataType
        from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap

        response = self._ask(self._stub.GetModelMetadata, GetModelMetadataRequest(model_spec=self._spec, metadata_field=["signature_def"]))
        found = SignatureDefMap()
        response.metadata["signature_def"].Unpack(found)
        return {
            name: {key: (DataType.Name(info.dtype), len(info.tensor_shape.dim)) for key, info in signature.inputs.items()}
            for name, signature in found.signature_def.items()
        }

    def run(self, signature: str, tensors: Tensors) -> np.ndarray:
        import tensorflow as tf
        from tensorflow_serving.apis.predict_pb2 import PredictRequest

        request = PredictRequest(model_spec=self._spec, output_filter=[PROBABILITY])
        request.model_spec.signature_name = signature
        for name, values in tensors.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values, tf.string if values.dtype == object else values.dtype, values.shape))
        return tf.make_ndarray(self._ask(self._stub.Predict, request).outputs[PROBABILITY])

    def close(self) -> None:
        self._channel.close()


def _one_line(text: Any) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= 500 else line[:500] + "…"


def _reason(error: BaseException) -> str:
    """The innermost cause that a library gives, without its objects' addresses."""
    reason = getattr(error.args[0], "reason", error) if error.args else error
    return re.sub(r"<[^>]*>:?\s*|^\w+\(.*?\): ", "", _one_line(reason))


def _model_inputs(signatures: dict[str, _Inputs]) -> list[Input]:
    """What a model reads, by the inputs of its signatures.

    What `rank` takes for each candidate, `predict` takes once. Those, the user's id and the impression's time are never missing.
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


class Client:
    """A served model, asked over REST or gRPC.

    Args:
        url: As `parse_url` reads it.
        features: What the model reads; None asks the server, whose signatures tell.
        signature: By which `predict` scores; `serving_default` gets tf.Examples, for which TensorFlow is imported.
        batch_size: The most impressions a request; batches go one after another.
        timeout: Seconds; over REST, in which the server may be silent, and over gRPC, for a request with all of its tries.
        retries: Of a request that finds no connection or an overloaded server, with doubling pauses; over gRPC, 4 at most.

    Raises:
        ValueError: `url` names no served model.
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
        target = parse_url(url)
        self._signature = signature
        self._features: Features | None = features
        self.url, self._batch_size = target.url, batch_size
        self._transport: _Transport = (_Rest if target.rest else _Grpc)(target, timeout, retries)

    def features(self) -> Features:
        """What the model reads, asked for once.

        Raises:
            ServingError: The server did not answer.
        """
        if self._features is None:
            signatures = self._transport.signatures()
            if not {"predict", "rank"} <= signatures.keys():
                raise InvalidRequest(f"{self.url} serves {', '.join(sorted(signatures))}, but predict and rank are needed.")
            self._features = _model_inputs(signatures)
        return self._features

    def predict(self, rows: Sequence[Impression]) -> list[float]:
        """Click probabilities of impressions, in order.

        Raises:
            ValueError: A value is not of the feature's type, or a required one is missing.
            ServingError: The server did not answer.
        """
        scores: list[float] = []
        for start in range(0, len(rows), self._batch_size):
            scores += self._transport.run(self._signature, self._tensors(rows[start : start + self._batch_size])).astype(float).tolist()
        return scores

    def rank(self, users: Sequence[Impression], candidates: Sequence[Sequence[Impression]]) -> list[list[float]]:
        """Click probabilities of each user's candidates, in order.

        Args:
            users: Their features, context and histories.
            candidates: For each user the candidates' features.

        Raises:
            ValueError: A value is not of the feature's type, or a required one is missing.
            ServingError: The server did not answer.
        """
        features = self.features()
        scores: list[list[float]] = []
        step = max(1, self._batch_size // max([1, *map(len, candidates)]))
        for start in range(0, len(users), step):
            rows = candidates[start : start + step]
            answer = self._transport.run("rank", rank_tensors(users[start : start + step], rows, features))
            scores += [answer[index, : len(row)].astype(float).tolist() for index, row in enumerate(rows)]
        return scores

    def _tensors(self, rows: Sequence[Impression]) -> Tensors:
        if self._signature == "predict":
            return predict_tensors(rows, self.features())
        return {"examples": np.array([to_example(row, self.features()) for row in rows], object)}

    def close(self) -> None:
        """Ends the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
