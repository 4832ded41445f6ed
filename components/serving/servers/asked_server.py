"""Asks a TF Serving over gRPC which versions it has loaded and where its labels are. TensorFlow is not imported, which takes seconds.

The messages are those of TF Serving's `get_model_status.proto`, `get_model_metadata.proto`, `model.proto` and `status.proto`, as far as
they are needed. TF Serving has no call for its labels: `GetModelStatus` ignores them (get_model_status_impl.cc). But the metadata of a
label name the version that answers for it (get_model_metadata_impl.cc).
"""

from functools import cache
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_CALL_SECONDS = 5.0
_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
AVAILABLE, END = "AVAILABLE", "END"


class VersionState(NamedTuple):
    """The state of a version on a server.

    Attributes:
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error: The server's own message if it could not load the version; otherwise empty.
    """

    state: str
    error: str = ""


class Unreachable(Exception):
    """A server gives no answer. The message says why."""


class Server(Protocol):
    """A server that can be asked.

    Attributes:
        url: How people name it.
    """

    url: str

    def states(self) -> dict[int, VersionState]:
        """Returns the state of each version that the server knows; none if it does not know the model.

        Raises:
            Unreachable: It gives no answer.
        """

    def labelled(self, label: str) -> int | None:
        """Returns the version that answers for a label; None if none does.

        Raises:
            Unreachable: It gives no answer.
        """


class GrpcServer:
    """TF Serving at grpc://HOST:PORT.

    Args:
        url: The address.
        model: The name of the model.
    """

    def __init__(self, url: str, model: str) -> None:
        self.url, self._model = url, model
        parts = urlsplit(url)
        loopback = parts.hostname in ("localhost", "::1") or (parts.hostname or "").startswith("127.")
        options = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", int(not loopback))]
        self._channel = grpc.insecure_channel(parts.netloc, options)

    def states(self) -> dict[int, VersionState]:
        messages = _messages()
        request = messages["Request"](model_spec=messages["ModelSpec"](name=self._model))
        try:
            answer = self._call("ModelService/GetModelStatus", request, messages["Statuses"])
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return {}
            raise _unreachable(error) from error
        return {
            found.version: VersionState(_STATES.get(found.state, "UNKNOWN"), " ".join(found.status.error_message.split()))
            for found in answer.model_version_status
        }

    def labelled(self, label: str) -> int | None:
        messages = _messages()
        spec = messages["ModelSpec"](name=self._model, version_label=label)
        request = messages["Request"](model_spec=spec, metadata_field=["signature_def"])
        try:
            answer = self._call("PredictionService/GetModelMetadata", request, messages["Labelled"])
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                return None
            raise _unreachable(error) from error
        version: int = answer.model_spec.version.value
        return version

    def _call(self, method: str, request: Any, answer: Any) -> Any:
        call = self._channel.unary_unary(f"/tensorflow.serving.{method}", type(request).SerializeToString, answer.FromString)
        return call(request, timeout=_CALL_SECONDS)

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()


def _unreachable(error: grpc.RpcError) -> Unreachable:
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unreachable(f"it gave no answer within {_CALL_SECONDS:g} s")
    return Unreachable(f"{error.code().name}: {' '.join((error.details() or '').split())}")


@cache
def _messages() -> dict[str, Any]:
    """Returns the classes of the messages. `Request` is that of both calls; `Labelled` is the answer with the metadata, without them."""
    fields = {
        "Version": [("value", 1, "INT64", "")],
        "ModelSpec": [("name", 1, "STRING", ""), ("version", 2, "MESSAGE", "Version"), ("version_label", 4, "STRING", "")],
        "Request": [("model_spec", 1, "MESSAGE", "ModelSpec"), ("metadata_field", 2, "STRING", "*")],
        "Labelled": [("model_spec", 1, "MESSAGE", "ModelSpec")],
        "Status": [("error_code", 1, "INT32", ""), ("error_message", 2, "STRING", "")],
        "VersionStatus": [("version", 1, "INT64", ""), ("state", 2, "INT32", ""), ("status", 3, "MESSAGE", "Status")],
        "Statuses": [("model_version_status", 1, "MESSAGE", "*VersionStatus")],
    }
    file = descriptor_pb2.FileDescriptorProto(name="din_asked_server.proto", package="din", syntax="proto3")
    kind = descriptor_pb2.FieldDescriptorProto
    for name, entries in fields.items():
        message = file.message_type.add(name=name)
        for field, number, type_name, of in entries:
            message.field.add(
                name=field,
                number=number,
                type=getattr(kind, f"TYPE_{type_name}"),
                label=kind.LABEL_REPEATED if of.startswith("*") else kind.LABEL_OPTIONAL,
                type_name=f".din.{of.removeprefix('*')}" if type_name == "MESSAGE" else None,
            )
    pool = descriptor_pool.DescriptorPool()  # our own: it does not meet the messages of tensorflow-serving-api
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"din.{name}")) for name in fields}
