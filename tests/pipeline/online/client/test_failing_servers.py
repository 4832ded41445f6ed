"""The client's retries and errors, against servers that fail."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictResponse
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceServicer, add_PredictionServiceServicer_to_server

from din_trainer.features import FeatureConfig
from pipeline.online.client import Client, InvalidRequest, NotFound, ServingError, Timeout, Unavailable
from tests.components.serving import toy


@pytest.mark.parametrize("scheme", ["http://127.0.0.1:{}/v1/models/demo", "grpc://127.0.0.1:{}/demo"])
def test_no_server_is_unavailable(scheme):
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        url = scheme.format(taken.getsockname()[1])
        with pytest.raises(Unavailable, match="refused"):
            Client(url, retries=1).predict(toy.ROWS)


class _Failing(BaseHTTPRequestHandler):
    """Answers with the statuses in `server.statuses`, one after another, then with scores. For None it does not answer."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.server.count += 1
        if status is None:
            self.server.stop.wait(30)
            return
        body = self.server.answer if status == 200 else json.dumps({"error": f"status {status}"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def rest_failing():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Failing)
    server.statuses, server.count, server.stop, server.answer = [], 0, threading.Event(), b'{"outputs": [0.5]}'
    server.url = f"http://127.0.0.1:{server.server_port}/v1/models/demo"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.stop.set()
    server.shutdown()
    server.server_close()
    thread.join()


class _FailingService(PredictionServiceServicer):
    def __init__(self):
        self.codes, self.count, self.stop = [], 0, threading.Event()

    def Predict(self, request, context):
        self.count += 1
        code = self.codes.pop(0) if self.codes else grpc.StatusCode.OK
        if code is None:
            self.stop.wait(30)
        elif code != grpc.StatusCode.OK:
            context.abort(code, f"code {code.name}")
        return PredictResponse(outputs={"probability": tf.make_tensor_proto([0.5])})


@pytest.fixture
def grpc_failing():
    service = _FailingService()
    server = grpc.server(ThreadPoolExecutor(2))
    add_PredictionServiceServicer_to_server(service, server)
    service.url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}/demo"
    server.start()
    yield service
    service.stop.set()
    server.stop(0).wait()


def score(url, **options):
    return Client(url, features=FeatureConfig(), **options).predict(toy.ROWS[:1])


def test_an_overloaded_server_is_asked_again(rest_failing, grpc_failing):
    rest_failing.statuses = [503, 429]
    assert score(rest_failing.url) == [0.5] and rest_failing.count == 3
    grpc_failing.codes = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert score(grpc_failing.url) == [0.5] and grpc_failing.count == 3


def test_retries_end(rest_failing, grpc_failing):
    rest_failing.statuses, grpc_failing.codes = [503] * 9, [grpc.StatusCode.UNAVAILABLE] * 9
    for server in (rest_failing, grpc_failing):
        with pytest.raises(Unavailable, match=r"status 503|code UNAVAILABLE"):
            score(server.url, retries=1)
        assert server.count == 2


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "INVALID_ARGUMENT", InvalidRequest),
        (404, "NOT_FOUND", NotFound),
        (500, "INTERNAL", ServingError),
        (504, "DEADLINE_EXCEEDED", Timeout),
    ],
)
def test_other_errors_are_not_tried_again(rest_failing, grpc_failing, status, code, kind):
    rest_failing.statuses, grpc_failing.codes = [status], [grpc.StatusCode[code]]
    for server in (rest_failing, grpc_failing):
        with pytest.raises(ServingError) as raised:
            score(server.url)
        assert type(raised.value) is kind and server.count == 1


def test_a_server_that_takes_too_long_is_a_timeout(rest_failing, grpc_failing):
    rest_failing.statuses, grpc_failing.codes = [None], [None]
    for server in (rest_failing, grpc_failing):
        with pytest.raises(Timeout, match=r"gave no answer within 0\.3 s"):
            score(server.url, timeout=0.3)
        assert server.count == 1


def test_an_answer_of_something_else_is_a_serving_error(rest_failing):
    rest_failing.statuses = [200]
    rest_failing.answer = b"<html>"
    with pytest.raises(ServingError, match="answered 200: <html>"):
        score(rest_failing.url)
