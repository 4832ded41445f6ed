"""The gRPC side of the development stand-in: Predict, GetModelMetadata and GetModelStatus; all else is UNIMPLEMENTED."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Never

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.framework.tensor_shape_pb2 import TensorShapeProto
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, GetModelMetadataResponse
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, GetModelStatusResponse
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceServicer, add_ModelServiceServicer_to_server
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceServicer, add_PredictionServiceServicer_to_server

from pipeline.online.stand_in.endpoint import DEFAULT_SIGNATURE, MAX_BYTES, Endpoint, StatusError, arrays, invalid

_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int32: "int_val",
    tf.int64: "int64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
}
_MESSAGE = 1024  # characters of an error, as in TF Serving
_THREADS = 8
_GRACE_SECONDS = 5.0


def _to_proto(array: np.ndarray) -> TensorProto:
    """With the values in the field of their type, as TF Serving answers, not in `tensor_content`."""
    dtype = tf.as_dtype(array.dtype)
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in array.shape])
    return TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=shape, **{_FIELDS[dtype]: array.ravel().tolist()})


def _abort(context: grpc.ServicerContext, error: StatusError) -> Never:
    message = error.message if len(error.message) <= _MESSAGE else error.message[:_MESSAGE] + "...TRUNCATED"
    context.abort(error.code, message)
    raise AssertionError  # abort has raised


def _check_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")


class _PredictionService(PredictionServiceServicer):
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:
        try:
            _check_spec(request)
            version, name = self._endpoint.version(request.model_spec), request.model_spec.signature_name or DEFAULT_SIGNATURE
            outputs = version.run(name, arrays(request), request.output_filter)
        except StatusError as error:
            _abort(context, error)
        response = PredictResponse(outputs={key: _to_proto(array) for key, array in outputs.items()})
        response.model_spec.name, response.model_spec.signature_name = request.model_spec.name, name
        response.model_spec.version.value = version.number
        return response

    def GetModelMetadata(self, request: GetModelMetadataRequest, context: grpc.ServicerContext) -> GetModelMetadataResponse:
        try:
            _check_spec(request)
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != "signature_def":
                    raise invalid(f"Metadata field {field} is not supported")
            return self._endpoint.metadata(request.model_spec)
        except StatusError as error:
            _abort(context, error)


class _ModelService(ModelServiceServicer):
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def GetModelStatus(self, request: GetModelStatusRequest, context: grpc.ServicerContext) -> GetModelStatusResponse:
        try:
            _check_spec(request)
            return self._endpoint.status(request.model_spec)
        except StatusError as error:
            _abort(context, error)


class GrpcServer:
    """The gRPC side on 127.0.0.1, in threads of its own.

    Attributes:
        port: Where it listens.

    Raises:
        OSError: The port is taken.
    """

    def __init__(self, endpoint: Endpoint, port: int) -> None:
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", MAX_BYTES), ("grpc.max_send_message_length", -1)]
        self._server = grpc.server(ThreadPoolExecutor(_THREADS, "gRPC"), options=options)
        add_PredictionServiceServicer_to_server(_PredictionService(endpoint), self._server)
        add_ModelServiceServicer_to_server(_ModelService(endpoint), self._server)
        try:
            self.port: int = self._server.add_insecure_port(f"127.0.0.1:{port}")
        except RuntimeError as error:
            raise OSError(f"port {port} cannot be bound") from error
        self._server.start()

    def close(self) -> None:
        """Answers what is under way, for 5 s at most, and ends."""
        self._server.stop(_GRACE_SECONDS).wait()
