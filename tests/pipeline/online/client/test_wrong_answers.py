"""Whatever a server answers, the client gives the probabilities that were asked for, or a ServingError with one sentence."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse, SignatureDefMap
from tensorflow_serving.apis.predict_pb2 import PredictResponse

from din_trainer.features import FeatureConfig
from pipeline.online.client import Client, InvalidRequest, ServingError
from pipeline.online.client.grpc_connection import GrpcConnection
from tests.components.serving import toy
from tests.pipeline.online.client.raw_server import answer

ONE = "1 probability is needed: does it serve a model of this pipeline?"


def score(server, rows=1, **options):
    with Client(server.url, features=FeatureConfig(), **options) as client:
        return client.predict(toy.ROWS[:rows])


def refusal(server, *args, **options):
    with pytest.raises(ServingError) as raised:
        score(server, *args, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    "body",
    [
        b'{"outputs": []}',
        b'{"outputs": [0.5, 0.5, 0.5]}',
        b'{"outputs": 0.5}',
        b'{"outputs": [[0.5]]}',
        b'{"outputs": ["0.5"]}',
        b'{"outputs": [true]}',
        b'{"outputs": [null]}',
        b'{"outputs": [NaN]}',
        b'{"outputs": [Infinity]}',
        b'{"outputs": [1.5]}',
        b'{"outputs": [-1]}',
        b'{"outputs": [1' + b"0" * 400 + b"]}",
        b'{"outputs": {"score": [0.5]}}',
        b'{"predictions": [0.5]}',
        b"{}",
        b"[0.5]",
        b"0.5",
        b"null",
        b"",
        b"<html>",
        b"\xff\xfe",
        b'{"outputs": [0.5]',
        b'{"outputs": ' + b"[" * 100_000 + b"0.5" + b"]" * 100_000 + b"}",
        b'{"outputs": [' + b"1" * 5000 + b"]}",
    ],
    ids=lambda body: body[:30],
)
def test_an_answer_that_is_no_probability_for_one_row_is_a_serving_error(server, body):
    """Case 24 of the issue's list: an empty list, three scores, a bare number, deep nesting."""
    server.serve = lambda connection, number: connection.sendall(answer(body))
    message = refusal(server)
    assert message.startswith(f"{server.url} answered 200: ") and message.endswith(f", but {ONE}") and len(message) < 700


def test_an_answer_of_another_type_is_a_serving_error(server):
    server.serve = lambda connection, number: connection.sendall(answer(headers=["Content-Type: text/html; charset=utf-8"]))
    assert refusal(server).endswith(f'answered 200: {{"outputs": [0.5]}}, but {ONE}')


@pytest.mark.parametrize("headers", [[], ["Content-Type: application/json; charset=utf-8"], ["content-type: APPLICATION/JSON"]])
def test_probabilities_in_any_of_the_right_forms_are_taken(server, headers):
    for body in (b'{"outputs": [0.5]}', b'{"outputs": {"probability": [0.5], "more": 1}}'):
        server.serve = lambda connection, number, body=body: connection.sendall(answer(body, headers=headers))
        assert score(server) == [0.5]
    server.serve = lambda connection, number: connection.sendall(answer({"outputs": [0, 1, 0.25]}))
    assert score(server, rows=3) == [0.0, 1.0, 0.25]


@pytest.mark.parametrize("scores", [[[0.5], [0.5], [0.5]], [[0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5], [0.5]], [0.5] * 6])
def test_ranks_of_another_shape_are_a_serving_error(server, scores):
    server.serve = lambda connection, number: connection.sendall(answer({"outputs": scores}))
    with (
        Client(server.url, features=FeatureConfig()) as client,
        pytest.raises(ServingError, match="but 3 lists of 2 probabilities are needed"),
    ):
        client.rank(toy.ROWS, toy.CANDIDATES)


@pytest.mark.parametrize(
    "tensor",
    [
        tf.make_tensor_proto(np.zeros(0, np.float32)),
        tf.make_tensor_proto([0.5, 0.5, 0.5]),
        tf.make_tensor_proto(0.5),
        tf.make_tensor_proto([float("nan")]),
        tf.make_tensor_proto(["0.5"]),
        tf.make_tensor_proto([True]),
        TensorProto(dtype=1, tensor_content=b"123", tensor_shape={"dim": [{"size": 1}]}),
        TensorProto(),
        TensorProto(dtype=1, float_val=[0.5], tensor_shape={"dim": [{"size": 10**12}]}),  # one value for 4 TB of equal ones
    ],
    ids=range(9),
)
def test_wrong_answers_over_grpc_are_serving_errors_too(monkeypatch, tensor):
    monkeypatch.setattr(GrpcConnection, "_ask", lambda self, method, request: PredictResponse(outputs={"probability": tensor}))
    with Client("grpc://127.0.0.1:1/demo", features=FeatureConfig()) as client, pytest.raises(ServingError, match=ONE):
        client.predict(toy.ROWS[:1])


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (answer(b"", "204 No Content"), "answered 204: No Content"),
        (answer(b"<html>\nno</html>", "502 Bad Gateway", ["Content-Type: text/html"]), "answered 502: <html> no</html>"),
        (answer({"error": "wrong\ninput"}, "400 Bad Request"), "answered 400: wrong input"),
        (b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", "answered 500: X"),
        (b"HTTP/1.0 500\r\n\r\n", "answered 500: nothing"),
        (
            answer(b"", "302 Found", ["Location: http://127.0.0.1:1/x"]),
            "answered 302, a redirect to http://127.0.0.1:1/x, which is not followed: give the server's own URL.",
        ),
    ],
)
def test_other_statuses_are_serving_errors(server, response, message):
    def serve(connection, number):
        connection.sendall(response)
        connection.shutdown(2)

    server.serve = serve
    assert refusal(server) == f"{server.url} {message}" and len(server.requests) == 1


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "illegal status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "peer closed connection without sending complete message body"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", "peer closed connection"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000, "receive buffer too long"),
        (b"", "Server disconnected without sending a response"),
    ],
    ids=range(5),
)
def test_what_is_no_complete_http_answer_is_a_serving_error(server, response, reason):
    def serve(connection, number):
        connection.sendall(response)
        connection.shutdown(2)

    server.serve = serve
    message = refusal(server, retries=1)
    assert "gave no complete HTTP answer" in message and reason.lower() in message.lower()
    assert len(server.requests) == 2


def test_an_http_1_0_server_is_understood(server):
    def serve(connection, number):
        connection.sendall(b'HTTP/1.0 200 OK\r\n\r\n{"outputs": [0.5]}')
        connection.shutdown(2)

    server.serve = serve
    assert score(server) == score(server) == [0.5]


def test_an_answer_that_is_too_large_is_refused(server, monkeypatch):
    monkeypatch.setattr("pipeline.online.client.rest_connection.MAX_ANSWER_BYTES", 1 << 20)
    server.serve = lambda connection, number: connection.sendall(answer(b" " * (1 << 21)))
    assert refusal(server).endswith("gave an answer of more than 1 MiB: ask for fewer at once.")


def test_a_large_answer_over_grpc_is_refused(stand_in, monkeypatch):
    monkeypatch.setattr("pipeline.online.client.grpc_connection.MAX_ANSWER_BYTES", 100)
    with Client(stand_in.grpc_url, retries=0) as client, pytest.raises(ServingError, match="larger than max"):
        client.features()


@pytest.mark.parametrize(
    ("metadata", "kind", "message"),
    [
        ({"metadata": {}}, ServingError, "but signatures are needed: is it TF Serving?"),
        ({"metadata": {"signature_def": {"signature_def": {"predict": {"inputs": {"x": {}}, "outputs": {}}}}}}, ServingError, "signatures"),
        ({"metadata": {"signature_def": {"signature_def": {}}}}, InvalidRequest, "serves no signatures, but predict and rank are needed"),
        ("DT_HALF", ServingError, "serves a model of another kind"),
        ([], ServingError, "serves a model of another kind"),
    ],
)
def test_metadata_of_another_kind_is_a_serving_error(server, metadata, kind, message):
    if not isinstance(metadata, dict):
        inputs = {"x": {"dtype": metadata, "tensor_shape": {"dim": [{"size": "-1"}]}}}
        signature = {"inputs": inputs, "outputs": {}}
        metadata = {"metadata": {"signature_def": {"signature_def": {"predict": signature, "rank": signature}}}}
    server.serve = lambda connection, number: connection.sendall(answer(json.dumps(metadata).encode()))
    with Client(server.url) as client, pytest.raises(ServingError, match=message) as raised:
        client.predict(toy.ROWS)
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    "found", [b"\xff\xff", SignatureDefMap(signature_def={"predict": {"inputs": {"x": {"dtype": 999}}}}).SerializeToString()]
)
def test_metadata_of_another_kind_over_grpc_are_a_serving_error(monkeypatch, found):
    """Bytes that are no message, and a type that this client does not know."""
    metadata = {"signature_def": {"type_url": "type.googleapis.com/tensorflow.serving.SignatureDefMap", "value": found}}
    monkeypatch.setattr(GrpcConnection, "_ask", lambda self, method, request: GetModelMetadataResponse(metadata=metadata))
    with Client("grpc://127.0.0.1:1/demo") as client, pytest.raises(ServingError, match="but signatures are needed"):
        client.features()
