"""The REST server of the stand-in: TF Serving's paths, bodies and status codes (http_rest_api_util.cc, http_server.cc)."""

import asyncio
import json
import logging
import re
import socket
import threading
import zlib
from urllib.parse import unquote

import uvicorn
from anyio import to_thread
from google.protobuf.json_format import MessageToDict
from grpc import StatusCode
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse

from components.serving.model.impression_tensors import Tensors
from pipeline.online.stand_in.endpoint import Endpoint
from pipeline.online.stand_in.grpc_server import GRACE_SECONDS
from pipeline.online.stand_in.http_protocol import HttpProtocol
from pipeline.online.stand_in.json_examples import read_examples
from pipeline.online.stand_in.json_requests import parse
from pipeline.online.stand_in.json_tensors import read_tensors, to_bytes, write_tensors
from pipeline.online.stand_in.loaded_version import DEFAULT_SIGNATURE
from pipeline.online.stand_in.request_log import RequestLog
from pipeline.online.stand_in.status_error import StatusError, invalid
from pipeline.online.stand_in.tensor_protos import MAX_BYTES, to_proto

_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}
_WHICH = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_PREDICTION = re.compile(rf"(?i:/v1/models/(?P<name>[^/:]+){_WHICH}):(?P<method>classify|regress|predict)")
_STATUS = re.compile(rf"(?i:/v1/models(?:/(?P<name>[^/:]+))?{_WHICH}(?:/(?P<part>metadata))?)")

_URI = re.compile(
    r"(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*)?((?:[A-Za-z0-9._~!$&'()*+,;=:@/?#-]|%[0-9A-Fa-f]{2})*)"
)  # as in libevent; group: path

_HTTP = {
    StatusCode.CANCELLED: 499,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.UNAUTHENTICATED: 401,
}  # any other code is 500


def _answer(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


def _error(message: str, status: int) -> Response:
    return _answer(json.dumps({"error": message}).encode(), status)


def _spec(found: re.Match[str]) -> ModelSpec:
    spec = ModelSpec(name=unquote(found["name"] or ""))
    if found["version"]:
        if int(found["version"]) >= 1 << 63:
            raise invalid(f"version {found['version']} is too large")
        spec.version.value = int(found["version"])
    elif found["label"]:
        spec.version_label = unquote(found["label"])
    return spec


def _no_such_path(method: str, path: str) -> StatusError:
    return invalid(f"{method} {path} is not a request of this API")


def _post(endpoint: Endpoint, path: str, body: bytes) -> bytes:
    found = _PREDICTION.fullmatch(path)
    if not found:
        raise _no_such_path("POST", path)
    spec = _spec(found)
    document = parse(body)
    if found["method"] != "predict":
        read_examples(document)
    version = endpoint.version(spec)
    if found["method"] != "predict":
        raise invalid(f"no signature is for {found['method']}")
    name = document.get("signature_name") or DEFAULT_SIGNATURE
    if name not in version.signatures:
        raise invalid(f"there is no signature {name!r}")
    if not version.signatures[name].inputs:
        raise invalid(f"signature {name!r} has no inputs")
    inputs, by_row = read_tensors(document, version.signatures[name].inputs)
    outputs = version.run(name, inputs)
    if endpoint.log and endpoint.log.wants():
        _log(endpoint.log, ModelSpec(name=spec.name, signature_name=name, version={"value": version.number}), inputs, outputs)
    return write_tensors(outputs, by_row)


def _log(log: RequestLog, spec: ModelSpec, inputs: Tensors, outputs: Tensors) -> None:
    """Logs a request as the gRPC request that it stands for, as TF Serving does."""
    request, response = PredictRequest(model_spec=spec), PredictResponse(model_spec=spec)
    for message, tensors in ((request.inputs, inputs), (response.outputs, outputs)):
        for key, array in tensors.items():
            message[key].CopyFrom(to_proto(array))
    log.add(request, response)


def _get(endpoint: Endpoint, path: str) -> bytes:
    found = _STATUS.fullmatch(path)
    if not found:
        raise _no_such_path("GET", path)
    spec = _spec(found)
    if not spec.name:
        raise invalid("the request names no model")
    if found["part"] != "metadata":
        return to_bytes(MessageToDict(endpoint.status(spec), always_print_fields_with_no_presence=True))
    response, signatures = endpoint.metadata(spec), SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    model_spec, metadata = (
        MessageToDict(message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True)
        for message in (response.model_spec, signatures)
    )
    return to_bytes({"model_spec": model_spec, "metadata": {"signature_def": metadata}})


class _TooLarge(Exception):
    """The body is larger than `MAX_BYTES`."""


async def _body(request: Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BYTES:
            raise _TooLarge
        chunks.append(chunk)
    body = b"".join(chunks)
    return _unzipped(body) if "gzip" in request.headers.get("content-encoding", "") else body


def _unzipped(body: bytes) -> bytes:
    """Returns a compressed body; one that is broken is empty, as in TF Serving."""
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = reader.decompress(body, MAX_BYTES + 1)
    except zlib.error:
        return b""
    if len(plain) > MAX_BYTES:
        raise _TooLarge
    return plain if reader.eof and not reader.unused_data else b""


def make_app(endpoint: Endpoint) -> ASGIApp:
    """Returns TF Serving's REST API as an ASGI application."""

    async def handle(request: Request) -> Response:
        query = request.scope["query_string"].decode("latin-1")
        uri = _URI.fullmatch(request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""))
        if request.method not in _METHODS:
            return PlainTextResponse("Not Implemented", 501)
        if not uri:
            return PlainTextResponse("Bad Request", 400)
        path = uri[1]
        try:
            body = await _body(request)
            if not path.lower().startswith("/v1/"):
                return PlainTextResponse("Not Found", 404)
            if request.method == "POST":
                return _answer(await to_thread.run_sync(_post, endpoint, path, body, abandon_on_cancel=True))
            if request.method == "GET":
                return _answer(await to_thread.run_sync(_get, endpoint, path, abandon_on_cancel=True))
            if request.method == "OPTIONS":
                return _answer(b"", 200 if re.search("https?://", request.headers.get("origin", "")) else 400)
            raise _no_such_path(request.method, path)
        except StatusError as error:
            return _error(error.message, _HTTP.get(error.code, 500))
        except _TooLarge:
            return _error(f"the body is larger than {MAX_BYTES} bytes", 413)
        except ClientDisconnect:
            return _error("the client has gone", 499)
        except asyncio.CancelledError:
            return _error("the server is stopping", 503)
        except Exception as error:  # a bug still gets an answer, and its trace is logged
            logging.getLogger(__name__).exception("%s %s", request.method, path)
            return _error(f"{type(error).__name__}: {error}", 500)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await handle(Request(scope, receive))
        await response(scope, receive, send)

    return app


class RestServer:
    """The REST server on 127.0.0.1, in its own thread.

    Args:
        endpoint: The versions that answer.
        port: 0 takes a free one.

    Attributes:
        port: The port that it listens on.

    Raises:
        OSError: The port is taken.
    """

    def __init__(self, endpoint: Endpoint, port: int) -> None:
        listener = socket.create_server(("127.0.0.1", port))
        listener.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )  # connections inherit it; without it, headers wait 40 ms for the client's ACK
        self.port: int = listener.getsockname()[1]
        config = uvicorn.Config(
            make_app(endpoint),
            http=HttpProtocol,
            ws="none",
            log_level="critical",
            lifespan="off",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="REST")
        self._thread.start()

    def stop(self) -> None:
        """Takes no more requests."""
        self._server.should_exit = True

    def close(self) -> None:
        """Stops, and waits at most `GRACE_SECONDS` for the requests that are being answered."""
        self.stop()
        self._thread.join()
