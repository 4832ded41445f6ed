"""The REST server over a socket: TF Serving's answers, and its status codes for refusals."""

import base64
import contextlib
import gzip
import http.client
import json
import math
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.framework.types_pb2 import DT_UINT16
from tensorflow.core.protobuf.meta_graph_pb2 import TensorInfo

from components.serving.model.impression_tensors import json_inputs, json_instances, predict_tensors, rank_tensors, to_example
from din_trainer.features import FeatureConfig
from pipeline.online.client import Client, Unavailable
from pipeline.online.stand_in import http_protocol
from pipeline.online.stand_in import rest_server as rest
from pipeline.online.stand_in.json_requests import parse
from pipeline.online.stand_in.json_tensors import from_base64, read_tensors, write_tensors
from pipeline.online.stand_in.loaded_version import LoadedVersion
from pipeline.online.stand_in.stand_in import StandIn
from pipeline.online.stand_in.status_error import StatusError
from tests.components.serving import toy

FEATURES = FeatureConfig()
INSTANCES = json_instances(predict_tensors(toy.ROWS, FEATURES))
EXPECTED = [toy.probability(row, 0.2) for row in toy.ROWS]


@pytest.fixture(scope="module")
def ask(stand_in):
    """(method, path below /v1/models, body) -> (status, JSON)."""

    def call(method, path, body=None, whole_path=False, headers=()):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(urlsplit(stand_in.rest_url).netloc, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path if whole_path else f"/v1/models{path}", data, dict(headers))
            response = connection.getresponse()
            content = response.read()
        is_json = response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(content.decode(errors="replace")) if is_json else content

    return call


@pytest.fixture
def predict(ask):
    return lambda body, path="/demo:predict": ask("POST", path, body)


def test_instances_give_predictions(predict):
    status, answer = predict({"signature_name": "predict", "instances": INSTANCES})
    assert status == 200 and list(answer) == ["predictions"]
    np.testing.assert_allclose(answer["predictions"], EXPECTED, rtol=1e-6)


def test_inputs_give_outputs(predict):
    status, answer = predict({"signature_name": "predict", "inputs": json_inputs(predict_tensors(toy.ROWS, FEATURES))})
    assert status == 200 and list(answer) == ["outputs"]
    np.testing.assert_allclose(answer["outputs"], EXPECTED, rtol=1e-6)


def test_rank_gives_a_row_of_scores_for_each_user(predict):
    tensors = rank_tensors(toy.ROWS, toy.CANDIDATES, FEATURES)
    for body, key in (({"instances": json_instances(tensors)}, "predictions"), ({"inputs": json_inputs(tensors)}, "outputs")):
        status, answer = predict({"signature_name": "rank", **body})
        assert status == 200
        np.testing.assert_allclose(answer[key][0], [toy.probability({**toy.ROWS[0], **row}, 0.2) for row in toy.CANDIDATES[0]], rtol=1e-6)


def test_an_only_input_goes_without_its_name_and_bytes_as_base64(predict):
    examples = [{"b64": base64.b64encode(to_example(row, FEATURES)).decode()} for row in toy.ROWS]
    for body in ({"instances": examples}, {"instances": [{"examples": example} for example in examples]}):
        status, answer = predict(body)
        assert status == 200
        np.testing.assert_allclose(answer["predictions"], EXPECTED, rtol=1e-6)
    for inputs in (examples, {"examples": examples}):
        assert len(predict({"inputs": inputs})[1]["outputs"]) == 3


def test_values_go_through_as_they_are(predict):
    sent = {"text": [["a\u00e9\u0000"], [{"b64": "/w=="}]], "number": [0.1, 1], "flag": [True, False]}
    status, answer = predict({"signature_name": "echo", "inputs": {**sent, "text": ["x"], "number": [0.1, -3e38], "flag": [True]}})
    assert (status, answer) == (200, {"outputs": {"data_bytes": [{"b64": "eA=="}], "flag": [True], "number": [0.1, -3e38], "text": ["x"]}})
    status, answer = predict({"signature_name": "echo", "inputs": {"text": [], "number": 7, "flag": [[True], [False]]}})
    assert answer["outputs"] == {"data_bytes": [], "flag": [[True], [False]], "number": 7.0, "text": []}
    rows = [{"text": "a", "number": 0.5, "flag": True}, {"text": {"b64": "Yg"}, "number": 1, "flag": False}]
    status, answer = predict({"signature_name": "echo", "instances": rows})
    assert answer["predictions"] == [
        {"data_bytes": {"b64": "YQ=="}, "flag": True, "number": 0.5, "text": "a"},
        {"data_bytes": {"b64": "Yg=="}, "flag": False, "number": 1.0, "text": "b"},
    ]


def test_nan_and_infinities_are_read_and_written(predict):
    _, answer = predict(b'{"signature_name": "echo", "inputs": {"text": "", "number": [NaN, Infinity, -Infinity], "flag": true}} trailing')
    assert math.isnan(answer["outputs"]["number"][0]) and answer["outputs"]["number"][1:] == [math.inf, -math.inf]


@pytest.mark.parametrize("outputs", [{"x": np.zeros(())}, {"x": np.zeros(2), "y": np.zeros((3, 2))}, {"x": np.zeros(()), "y": np.zeros(1)}])
def test_outputs_that_are_no_rows_are_refused_as_predictions(outputs):
    with pytest.raises(StatusError, match="no rows, or not the same number of them") as raised:
        write_tensors(outputs, by_row=True)
    assert raised.value.code == StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("document", "code"),
    [({"inputs": [1]}, StatusCode.UNIMPLEMENTED), ({"instances": [1]}, StatusCode.INVALID_ARGUMENT)],
)
def test_types_that_json_cannot_hold_are_refused(document, code):
    with pytest.raises(StatusError, match="input 'x' is uint16, which JSON has no form for") as raised:
        read_tensors(document, {"x": TensorInfo(dtype=DT_UINT16)})
    assert raised.value.code == code


@pytest.mark.parametrize("path", ["/demo/versions/1", "/demo/labels/stable", "/d%65mo/labels/st%61ble"])
def test_a_version_is_asked_for_by_number_or_label(predict, path):
    _, answer = predict({"signature_name": "predict", "instances": INSTANCES}, f"{path}:predict")
    np.testing.assert_allclose(answer["predictions"], [toy.probability(row, 0.1) for row in toy.ROWS], rtol=1e-6)


FIRST, SECOND = INSTANCES[:2]


def rows(*instances):
    return {"signature_name": "predict", "instances": list(instances)}


def changed(**values):
    return {**FIRST, **values}


def without(name):
    return {key: value for key, value in FIRST.items() if key != name}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b'{"instances": 1e999}', "the body is not JSON: a number is too large"),
        (b"[" * 100_000, "the body is not JSON"),
        (b'{"instances": ' + b"1" * 5000 + b"}", "the body is not JSON"),
        ([], "the body is not a JSON object"),
        ({"signature_name": 1}, "'signature_name' is not a string"),
        ({"signature_name": "nothing", "instances": [1]}, "there is no signature 'nothing'"),
        ({"signature_name": "\ud800", "instances": [1]}, "the body is not JSON: half a surrogate pair"),
        ({"signature_name": "__saved_model_init_op", "inputs": {}}, "signature '__saved_model_init_op' has no inputs"),
        ({}, "either 'instances' or 'inputs'"),
        ({"instances": [1], "inputs": [1]}, "either 'instances' or 'inputs'"),
        ({"instances": {}}, "'instances' must be a list"),
        ({"instances": []}, "'instances' must be a list of at least one instance"),
        (rows(7), "instances must be objects"),
        (rows(FIRST, 7), "instance 1 is not an object"),
        ({"instances": ["x", {"examples": "x"}]}, "instance 1 is an object"),
        (
            rows(without("user_id")),
            "instance 0 must have exactly the inputs candidate_category_id, candidate_item_id, historical_category_ids,",
        ),
        (rows(FIRST, without("user_id")), "instance 1 must have exactly the inputs"),
        (rows(changed(label=1)), "instance 0 must have exactly the inputs"),
        (rows(FIRST, {**SECOND, "historical_item_ids": [1]}), "the lists of input 'historical_item_ids' differ"),
        (rows(changed(user_id=[[1], [2]]), {**SECOND, "user_id": [[1, 2]]}), "the lists of input 'user_id' differ"),
        (rows(changed(historical_item_ids=[1, [2], 3])), "the lists of input 'historical_item_ids' differ"),
        (rows(changed(historical_item_ids=[[1], 2, 3])), "the lists of input 'historical_item_ids' differ"),
        (rows(changed(historical_item_ids=[[1], [2, 3], [4]])), "the lists of input 'historical_item_ids' differ"),
        (rows(changed(user_id=1.0)), "input 'user_id' has the value 1.0, but int64 is needed"),
        (rows(changed(user_id="1")), "input 'user_id' has the value \"1\", but int64 is needed"),
        (rows(changed(user_id=None)), "the value null, but int64 is needed"),
        (rows(changed(user_id=True)), "the value true, but int64 is needed"),
        (rows(changed(user_id={"b64": "eA=="})), "but int64 is needed"),
        (rows(changed(user_id=1 << 63)), "but int64 is needed"),
        (rows(changed(user_id=[1])), "input 'user_id' has the shape (1, 1), but (None,) is needed"),
        (rows(changed(historical_item_ids=[])), ""),  # narrower than the aligned categories: the message is the graph's own
        ({"instances": [7]}, "input 'examples' has the value 7, but string is needed"),
        ({"instances": [{"b64": "@"}]}, "but string is needed"),
        ({"instances": [{"b64": "\u00e9"}]}, "but string is needed"),
        ({"instances": [[{"c64": ""}]]}, "but string is needed"),
        (rows({**FIRST, "\udc82": 1}), "instance 0 must have exactly the inputs"),
        (rows({**FIRST, "\ud800": 1}), "the body is not JSON: half a surrogate pair"),
        (b'{"instances": [{"\xff": 1}]}', "instance 0 must have exactly the inputs"),
        ({"instances": ["\ud800"]}, "the body is not JSON: half a surrogate pair"),
        ({"instances": ["no tf.Example"]}, "Could not parse example input"),
        ({"signature_name": "predict", "inputs": [1]}, "'inputs' must be an object"),
        ({"signature_name": "predict", "inputs": {"user_id": [1]}}, "input 'candidate_category_id' is missing"),
        ({"signature_name": "echo", "inputs": {"text": "", "number": "1", "flag": True}}, "but float32 is needed"),
        ({"signature_name": "echo", "inputs": {"text": "", "number": 10**400, "flag": True}}, "a number is too large"),
        ({"signature_name": "echo", "inputs": {"text": "", "number": 1, "flag": 0}}, "but bool is needed"),
        ({"signature_name": "echo", "inputs": {"text": "", "number": True, "flag": True}}, "but float32 is needed"),
    ],
)
def test_what_tf_serving_refuses_is_refused(predict, body, message):
    status, answer = predict(body)
    assert status == 400 and list(answer) == ["error"] and message in answer["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/other:predict", 404, "model 'other' is not served"),
        ("POST", "/demo/versions/3:predict", 404, "version 3 of model 'demo' is not served"),
        ("POST", "/demo/versions/99999999999999999999:predict", 400, "version 99999999999999999999 is too large"),
        ("POST", "/demo/labels/old:predict", 400, "label 'old' of model 'demo' is not served"),
        ("POST", "/demo:explain", 400, "POST /v1/models/demo:explain is not a request of this API"),
        ("POST", "/demo", 400, "POST /v1/models/demo is not a request of this API"),
        ("GET", "/demo:predict", 400, "GET /v1/models/demo:predict is not a request of this API"),
        ("PUT", "/demo:predict", 400, "PUT /v1/models/demo:predict is not a request of this API"),
        ("GET", "/other", 404, "model 'other' is not served"),
        ("GET", "/demo/versions/9", 404, "version 9 of model 'demo' is not served"),
        ("GET", "/other/metadata", 404, "model 'other' is not served"),
        ("GET", "", 400, "the request names no model"),
        ("POST", "/demo:predict?a=1", 400, "POST /v1/models/demo:predict?a=1 is not a request of this API"),
        ("GET", "/demo?a=1", 404, "model 'demo?a=1' is not served"),
        ("GET", "/demo/metadata?a=1", 400, "GET /v1/models/demo/metadata?a=1 is not a request of this API"),
        ("GET", "/demo/versions/1?a=1", 400, "is not a request of this API"),
        ("POST", "/demo?a=1:predict", 404, "model 'demo?a=1' is not served"),
    ],
)
def test_what_is_not_there_is_refused(ask, method, path, status, message):
    code, answer = ask(method, path, {"signature_name": "predict", "instances": INSTANCES} if method == "POST" else None)
    assert code == status and message in answer["error"]


@pytest.mark.parametrize("method", ["classify", "regress"])
def test_classify_and_regress_have_tf_serving_s_codes(ask, method):
    """The body is looked at first, then the version, then the signature."""
    good, bad = {"examples": [{"user_id": 1}]}, {"examples": [{"user_id": None}]}
    for path, body, status, message in (
        ("/other", bad, 400, "feature 'user_id' has a value"),
        ("/other", good, 404, "model 'other' is not served"),
        ("/demo/versions/3", good, 404, "version 3 of model 'demo' is not served"),
        ("/demo/labels/old", good, 400, "label 'old' of model 'demo' is not served"),
        ("/demo", {}, 400, "a list of at least one example in 'examples'"),
        ("/demo", good, 400, f"no signature is for {method}"),
    ):
        code, answer = ask("POST", f"{path}:{method}", body)
        assert code == status and message in answer["error"]


def test_paths_are_read_as_by_tf_serving(ask):
    assert ask("GET", "/demo/METADATA") == ask("GET", "/demo") == ask("GET", "/demo/labels/stable?a=1")  # a label is ignored


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET http://example.org:80/v1/models/demo HTTP/1.1", 200),  # as to a proxy
        ("GET //example.org/v1/models/demo HTTP/1.1", 200),
        ("GET //v1/models/demo HTTP/1.1", 404),
        ("GET /v1/models/demo%zz HTTP/1.1", 400),
        ('GET /v1/models/{"demo"} HTTP/1.1', 400),
        ("GET /v1/models/demo~ HTTP/1.1", 404),
        ("TRACE /v1/models/demo HTTP/1.1", 501),
        ("COPY /v1/models/demo HTTP/1.1", 501),
    ],
)
def test_request_lines_are_read_as_by_libevent(stand_in, line, status):
    """evhttp_uri_parse takes the path of a whole URI and refuses characters that no URI has; unknown methods are 501."""
    host, port = urlsplit(stand_in.rest_url).netloc.split(":")
    with socket.create_connection((host, int(port)), 30) as connection:
        connection.sendall(f"{line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert int(connection.makefile("rb").readline().split()[1]) == status


def test_options_are_answered_to_a_page_of_a_site(stand_in):
    for headers, status in (({"Origin": "https://example.org"}, 200), ({"Origin": "null"}, 400), ({}, 400)):
        with contextlib.closing(http.client.HTTPConnection(urlsplit(stand_in.rest_url).netloc, timeout=30)) as connection:
            connection.request("OPTIONS", "/v1/models/demo:predict", headers=headers)
            assert connection.getresponse().status == status


def test_other_paths_are_not_found(ask):
    assert ask("GET", "/", whole_path=True)[0] == ask("POST", "/v2/models/demo", {}, whole_path=True)[0] == 404


def test_status_and_metadata_have_tf_serving_s_form(ask):
    ok = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    both = {"model_version_status": [{"version": "1", **ok}, {"version": "2", **ok}]}
    assert ask("GET", "/demo") == ask("GET", "/demo/labels/stable") == (200, both)
    assert ask("GET", "/demo/versions/2") == (200, {"model_version_status": both["model_version_status"][1:]})
    status, metadata = ask("GET", "/demo/labels/stable/metadata")
    assert status == 200 and metadata["model_spec"]["name"] == "demo" and metadata["model_spec"]["version"] == "1"
    user_id = metadata["metadata"]["signature_def"]["signature_def"]["predict"]["inputs"]["user_id"]
    assert user_id["dtype"] == "DT_INT64"
    assert user_id["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}


def test_compressed_bodies_are_read(ask):
    body, zipped = json.dumps({"signature_name": "predict", "instances": INSTANCES}).encode(), {"Content-Encoding": "gzip"}
    whole = gzip.compress(body)
    status, answer = ask("POST", "/demo:predict", whole, headers=zipped)
    assert status == 200
    np.testing.assert_allclose(answer["predictions"], EXPECTED, rtol=1e-6)
    for broken in (whole[:-1], whole + b"x", body, b""):
        assert ask("POST", "/demo:predict", broken, headers=zipped)[0] == 400
    assert ask("POST", "/demo:predict", gzip.compress(b" " * (rest.MAX_BYTES + 1)), headers=zipped)[0] == 413
    assert ask("POST", "/demo:predict", body, headers={"Content-Encoding": "identity"})[0] == 200


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", b""),
        ("YQ", b"a"),
        ("YQ==", b"a"),
        ("YQ..", b"a"),
        ("YR", b"a"),
        ("YWI", b"ab"),
        ("YWI=", b"ab"),
        ("YWJj", b"abc"),
        (" Y\tQ\n=\v=\f\r", b"a"),
        ("YQ=", None),
        ("=", None),
        ("====", None),
        ("YWI==", None),
        ("YWJj=", None),
        ("YWJj====", None),
        ("Y", None),
        ("YQ==YQ==", None),
        ("YQ-_", None),
        ("YQ\u00a0", None),
        ("YQ\x00", None),
    ],
)
def test_base64_is_that_of_absl(text, value):
    """`absl::Base64Unescape`: either no padding or all of it, and spaces anywhere."""
    if value is None:
        with pytest.raises(ValueError):
            from_base64(text)
    else:
        assert from_base64(text) == value


@pytest.mark.parametrize("space", ["\x0b", "\x0c", "\xa0", "\u2028", "\x1c"])
def test_only_four_characters_are_space_in_json(space):
    assert parse(b' \t\r\n{ \t\r\n"a" \t\r\n: 1 } ') == {"a": 1}
    for text in (space + "{}", "{" + space + "}"):
        with pytest.raises(StatusError, match="the body is not JSON"):
            parse(text.encode())


def test_half_a_surrogate_pair_is_refused_or_three_bytes():
    """As RapidJSON 1.1.0: the first half alone is an error, the second half alone is encoded."""

    def read(text):
        return parse(text)["a"].encode("utf-8", "surrogateescape")

    assert read(rb'{"a": "\ud83d\ude00"}') == "\U0001f600".encode()
    assert read(rb'{"a": "\udc82"}') == b"\xed\xb2\x82"
    assert read(b'{"a": "\x82"}') == b"\x82"
    assert read(rb'{"a": "\\ud83d \ud7ff"}') == b"\\ud83d \xed\x9f\xbf"
    for text in (rb'{"a": "\ud83d"}', rb'{"a": "\ud83dx"}', rb'{"a": "\ud83d\u0041"}', rb'{"\ud83d": 1}'):
        with pytest.raises(StatusError, match="half a surrogate pair"):
            parse(text)


def test_numbers_are_those_of_rapidjson():
    assert parse(b'{"a": 18446744073709551616, "a": 1}') == {"a": 2.0**64}  # beyond 64 bits a float; the first of two keys counts
    assert parse(b'{"a": -9223372036854775809}') == {"a": -(2.0**63)} and parse(b'{"a": 18446744073709551615}') == {"a": 2**64 - 1}
    for digits in ("1e400", "-1e400", "1" * 400):
        with pytest.raises(StatusError, match="a number is too large"):
            parse(b'{"a": %s}' % digits.encode())


@pytest.mark.parametrize(("dtype", "value", "found"), [("int8", 300, 44), ("uint8", -1, 255), ("int16", 40_000, -25_536)])
def test_small_integers_are_cut(dtype, value, found):
    """TF Serving checks that they are 32 bits, and puts them into fewer."""
    inputs = {"x": TensorInfo(dtype=tf.as_dtype(dtype).as_datatype_enum)}
    assert read_tensors({"inputs": [value]}, inputs)[0]["x"].tolist() == [found]
    with pytest.raises(StatusError, match="is needed"):
        read_tensors({"inputs": [1 << 31]}, inputs)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "uint16", "complex64"])
def test_outputs_that_json_cannot_hold_are_refused(dtype):
    array = np.ones(2, tf.as_dtype(dtype).as_numpy_dtype)
    for by_row in (True, False):
        with pytest.raises(StatusError, match=f"output 'x' is {tf.as_dtype(dtype).name}, which JSON has no form for") as raised:
            write_tensors({"x": array}, by_row)
        assert raised.value.code == StatusCode.INVALID_ARGUMENT
        assert json.loads(write_tensors({"x": array[:0]}, by_row)) == {"predictions" if by_row else "outputs": []}


def test_floats_have_six_digits_if_those_are_enough():
    values = np.array([0.1, 0.123456791, 16777216, 1e-45], np.float32)
    assert json.loads(write_tensors({"x": values}, True)) == {"predictions": [0.1, 0.123456791, 16777216.0, 1.4013e-45]}


def test_a_body_that_is_too_large_is_refused(predict, monkeypatch):
    monkeypatch.setattr(rest, "MAX_BYTES", 1000)
    assert predict(b" " * 1001)[0] == 413
    assert predict({"signature_name": "predict", "instances": INSTANCES[:1]})[0] == 200


def test_broken_connections_and_requests_do_not_end_it(stand_in, predict):
    address = (urlsplit(stand_in.rest_url).hostname, urlsplit(stand_in.rest_url).port)
    for content in (b"\x00\xff", b"POST /v1/models/demo:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"):
        with socket.create_connection(address) as connection:
            connection.sendall(content)
    assert predict({"signature_name": "predict", "instances": INSTANCES})[0] == 200


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"POST /v1/models/demo:predict HTTP/1.1\r\nHo",
        b"POST /v1/models/demo:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    ],
)
def test_half_a_request_is_waited_for_only_so_long(stand_in, monkeypatch, half):
    monkeypatch.setattr(http_protocol, "READ_SECONDS", 0.05)
    with socket.create_connection((urlsplit(stand_in.rest_url).hostname, urlsplit(stand_in.rest_url).port), timeout=30) as connection:
        connection.sendall(half)
        assert connection.recv(100) == b""


@pytest.fixture
def slow(toy_folder, monkeypatch):
    """A stand-in of its own that answers when `go` is set, and sets `begun` when it was asked."""
    with StandIn(toy_folder) as server:
        server.begun, server.go, run = threading.Event(), threading.Event(), LoadedVersion.run

        def wait(*args):
            server.begun.set()
            server.go.wait(30)
            return run(*args)

        monkeypatch.setattr(LoadedVersion, "run", wait)
        yield server
        server.go.set()


@pytest.mark.parametrize("url", ["rest_url", "grpc_url"])
def test_a_running_request_ends_when_the_server_stops(slow, url):
    with ThreadPoolExecutor(2) as threads, Client(getattr(slow, url), features=FEATURES, retries=0) as client:
        asking = threads.submit(client.predict, toy.ROWS)
        assert slow.begun.wait(30)
        with socket.create_connection((urlsplit(slow.rest_url).hostname, urlsplit(slow.rest_url).port), timeout=30) as half:
            half.sendall(b"POST /v1/models/demo:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            closing = threads.submit(slow.close)
            assert half.recv(100) == b""  # half a request holds nothing up
            slow.go.set()
            np.testing.assert_allclose(asking.result(30), EXPECTED, rtol=1e-6)
            closing.result(30)


def test_a_request_that_runs_too_long_is_refused_when_the_server_stops(slow, monkeypatch):
    slow._servers[0]._server.config.timeout_graceful_shutdown = 0.01
    with ThreadPoolExecutor(1) as threads, Client(slow.rest_url, features=FEATURES, retries=0) as client:
        asking = threads.submit(client.predict, toy.ROWS)
        assert slow.begun.wait(30)
        slow._servers[0].close()
        with pytest.raises(Unavailable, match="answered 503: the server is stopping"):
            asking.result(30)
        slow.go.set()


def test_an_unforeseen_error_is_an_answer_too(ask, stand_in, monkeypatch):
    def fail(spec):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(stand_in.endpoint, "version", fail)
    assert ask("POST", "/demo:predict", {"instances": [1]}) == (500, {"error": "RuntimeError: unforeseen"})
