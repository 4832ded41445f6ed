"""The gRPC server of the stand-in: Predict, GetModelMetadata and GetModelStatus, and the refusals of Classify and Regress."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Never

import grpc
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, GetModelMetadataResponse
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, GetModelStatusResponse
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceServicer, add_ModelServiceServicer_to_server
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceServicer, add_PredictionServiceServicer_to_server
from tensorflow_serving.apis.regression_pb2 import RegressionRequest

from pipeline.online.stand_in.endpoint import Endpoint
from pipeline.online.stand_in.loaded_version import DEFAULT_SIGNATURE
from pipeline.online.stand_in.status_error import StatusError, invalid
from pipeline.online.stand_in.tensor_protos import MAX_BYTES, read_request, to_proto

_MESSAGE = 1024  # characters of an error: gRPC cannot send long ones; the same limit as in TF Serving
_THREADS = 8
GRACE_SECONDS = 5  # for the requests that are being answered when the server stops


def _abort(context: grpc.ServicerContext, error: StatusError) -> Never:
    context.abort(error.code, error.message[:_MESSAGE])
    raise AssertionError  # not reached: abort raises


def _check_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid("the request has no model_spec")


class _PredictionService(PredictionServiceServicer):
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:
        try:
            _check_spec(request)
            version, name = self._endpoint.version(request.model_spec), request.model_spec.signature_name or DEFAULT_SIGNATURE
            outputs = version.run(name, read_request(request), request.output_filter)
        except StatusError as error:
            _abort(context, error)
        response = PredictResponse(outputs={key: to_proto(array) for key, array in outputs.items()})
        response.model_spec.name, response.model_spec.signature_name = request.model_spec.name, name
        response.model_spec.version.value = version.number
        if self._endpoint.log and self._endpoint.log.wants():
            self._endpoint.log.add(request, response)
        return response

    def Classify(self, request: ClassificationRequest, context: grpc.ServicerContext) -> Never:
        self._refuse(request, context, "classify")

    def Regress(self, request: RegressionRequest, context: grpc.ServicerContext) -> Never:
        self._refuse(request, context, "regress")

    def _refuse(self, request: Any, context: grpc.ServicerContext, method: str) -> Never:
        """No export has a signature for these methods."""
        try:
            _check_spec(request)
            self._endpoint.version(request.model_spec)
            raise invalid(f"no signature is for {method}")
        except StatusError as error:
            _abort(context, error)

    def GetModelMetadata(self, request: GetModelMetadataRequest, context: grpc.ServicerContext) -> GetModelMetadataResponse:
        try:
            _check_spec(request)
            if not request.metadata_field:
                raise invalid("the request has no metadata_field")
            for field in request.metadata_field:
                if field != "signature_def":
                    raise invalid(f"metadata field {field!r} is not supported")
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
    """The gRPC server on 127.0.0.1, in its own threads.

    Args:
        endpoint: The versions that answer.
        port: 0 takes a free one.

    Attributes:
        port: The port that it listens on.

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
        self._stopped: Any = None  # an event, once it stops

    def stop(self) -> None:
        """Takes no more requests."""
        self._stopped = self._stopped or self._server.stop(GRACE_SECONDS)

    def close(self) -> None:
        """Stops, and waits at most `GRACE_SECONDS` for the requests that are being answered."""
        self.stop()
        self._stopped.wait()
