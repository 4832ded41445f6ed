"""The client's connection over gRPC. It imports TensorFlow, which makes and reads the TensorProtos."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from components.serving.model.impression_tensors import Tensors
from pipeline.online.client.checked_scores import checked_scores
from pipeline.online.client.connection import MAX_ANSWER_BYTES, RETRY_SECONDS, Connection, Signature, Tensor, one_line
from pipeline.online.client.model_url import ModelUrl
from pipeline.online.client.proxies import is_loopback
from pipeline.online.client.serving_errors import InvalidRequest, NotFound, ServingError, Timeout, Unavailable

_ERRORS: dict[str, type[ServingError]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "FAILED_PRECONDITION": InvalidRequest,
    "OUT_OF_RANGE": InvalidRequest,
    "NOT_FOUND": NotFound,
    "DEADLINE_EXCEEDED": Timeout,
    "RESOURCE_EXHAUSTED": Unavailable,
    "UNAVAILABLE": Unavailable,
}


class GrpcConnection(Connection):
    """A served model that is asked over gRPC."""

    def __init__(self, model: ModelUrl, timeout: float, retries: int) -> None:
        self._shown, self._timeout = model.url, timeout
        self._spec = ModelSpec(name=unquote(model.name), version_label=model.label and unquote(model.label))
        if model.version:
            self._spec.version.value = int(model.version)
        policy = {
            "maxAttempts": retries + 1,
            "initialBackoff": f"{RETRY_SECONDS}s",
            "maxBackoff": "10s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
        }
        methods = {"name": [{"service": "tensorflow.serving.PredictionService"}], **({"retryPolicy": policy} if retries else {})}
        options = [
            ("grpc.service_config", json.dumps({"methodConfig": [methods]})),
            ("grpc.initial_reconnect_backoff_ms", int(RETRY_SECONDS * 1000)),
            ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.enable_http_proxy", 0 if is_loopback(str(model.grpc)) else 1),
        ]
        self._channel = grpc.insecure_channel(model.grpc, options)
        self._stub = PredictionServiceStub(self._channel)

    def _ask(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout)
        except grpc.RpcError as error:
            code, details = error.code().name, one_line(error.details() or "")
            if code == "DEADLINE_EXCEEDED":
                raise Timeout(f"{self._shown} gave no answer within {self._timeout:g} s.") from error
            raise _ERRORS.get(code, ServingError)(f"{self._shown} answered {code}: {details}") from error

    def signatures(self) -> dict[str, Signature]:
        response = self._ask(self._stub.GetModelMetadata, GetModelMetadataRequest(model_spec=self._spec, metadata_field=["signature_def"]))
        found = SignatureDefMap()
        try:
            response.metadata["signature_def"].Unpack(found)
            return {
                name: Signature(_tensors(signature.inputs), _tensors(signature.outputs)) for name, signature in found.signature_def.items()
            }
        except (DecodeError, ValueError) as error:
            raise ServingError(f"{self._shown} answered {one_line(response)}, but signatures are needed: is it TF Serving?") from error

    def run(
        self, signature: str, tensors: Tensors, outputs: Sequence[str], shape: tuple[int, ...], request_id: bytes = b""
    ) -> dict[str, np.ndarray]:
        request = PredictRequest(model_spec=self._spec, output_filter=outputs, client_id=request_id)
        request.model_spec.signature_name = signature
        for name, values in tensors.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values, tf.string if values.dtype == object else values.dtype, values.shape))
        found = self._ask(self._stub.Predict, request).outputs
        return {name: checked_scores(_array(found[name], shape), shape, self._shown, found) for name in outputs}

    def close(self) -> None:
        self._channel.close()


def _array(tensor: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Returns the values of a tensor; None if it has another shape, which is read first: one value may stand for any number of them."""
    try:
        return tf.make_ndarray(tensor) if [dim.size for dim in tensor.tensor_shape.dim] == list(shape) else None
    except (TypeError, ValueError):
        return None


def _tensors(infos: Any) -> dict[str, Tensor]:
    dims = {key: info.tensor_shape.dim for key, info in infos.items()}
    return {
        key: Tensor(DataType.Name(infos[key].dtype), tuple(dim.size for dim in found), tuple(dim.name for dim in found))
        for key, found in dims.items()
    }
