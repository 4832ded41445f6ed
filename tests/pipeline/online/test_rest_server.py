"""The REST side over a socket: TF Serving's answers and refusals."""

import base64
import contextlib
import http.client
import json
import math
import socket
from urllib.parse import urlsplit

import numpy as np
import pytest

from components.serving.model.impression_tensors import json_inputs, json_instances, predict_tensors, rank_tensors, to_example
from din_trainer.features import FeatureConfig
from pipeline.online.stand_in import rest_server as rest
from pipeline.online.stand_in.endpoint import StatusError
from pipeline.online.stand_in.json_tensors import write_tensors
from tests.components.serving import toy

FEATURES = FeatureConfig()
INSTANCES = json_instances(predict_tensors(toy.ROWS, FEATURES))
EXPECTED = [toy.probability(row, 0.2) for row in toy.ROWS]


@pytest.fixture(scope="module")
def ask(stand_in):
    """(method, path below /v1/models, body) -> (status, JSON)."""

    def call(method, path, body=None, whole_path=False):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(urlsplit(stand_in.rest_url).netloc, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path if whole_path else f"/v1/models{path}", data)
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


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"x": np.zeros(())}, "Tensor name: x has no shape information "),
        ({"x": np.zeros(2), "y": np.zeros((3, 2))}, "Tensor name: y has inconsistent batch size: 3 expecting: 2"),
    ],
)
def test_outputs_that_are_no_rows_are_refused_as_predictions(outputs, message):
    with pytest.raises(StatusError) as raised:
        write_tensors(outputs, rows=True)
    assert raised.value.message == message


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
        (b"", "JSON Parse error: The document is empty"),
        (b"{", "JSON Parse error"),
        (b'{"instances": 1e999}', "JSON Parse error: Number too big to be stored in double."),
        (b"[" * 100_000, "JSON Parse error"),
        (b'{"instances": ' + b"1" * 5000 + b"}", "JSON Parse error"),
        ([], "Is not object"),
        ({"signature_name": 1}, "'signature_name' key must be a string value."),
        ({"signature_name": "nothing", "instances": [1]}, 'Serving signature name: "nothing" not found in signature def'),
        ({"signature_name": "__saved_model_init_op", "inputs": {}}, "Failed to get input map for signature: __saved_model_init_op"),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": [1], "inputs": [1]}, "only one of 'inputs' or 'instances' keys to exist"),
        ({"instances": {}}, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        (rows(7), "instances is a plain list, but expecting list of objects as multiple input tensors required"),
        (rows(FIRST, 7), "Expecting object but got list at item 1 of input list"),
        ({"instances": ["x", {"examples": "x"}]}, "Expecting value/list but got object at item 1 of input list"),
        (rows(without("user_id")), "keys must be equal to: candidate_category_id,candidate_item_id,historical_category_ids,"),
        (rows(FIRST, without("user_id")), "Failed to process element: 1 of 'instances' list. JSON object: {"),
        (rows(changed(label=1)), "key: label of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have named input: label"),
        (rows(FIRST, {**SECOND, "historical_item_ids": [1]}), "Expecting tensor size: 3 but got: 1"),
        (rows(changed(user_id=[[1], [2]]), {**SECOND, "user_id": [[1, 2]]}), "Expecting shape [2,1] but got: [1,2]"),
        (rows(changed(historical_item_ids=[1, [2], 3])), "Encountered list at unexpected level: 1 expected < 1"),
        (rows(changed(historical_item_ids=[[1], 2, 3])), "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        (rows(changed(historical_item_ids=[[1], [2, 3], [4]])), "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
        (rows(changed(user_id=1.0)), "JSON Value: 1.0 Type: Number is not of expected type: int64"),
        (rows(changed(user_id="1")), 'JSON Value: "1" Type: String is not of expected type: int64'),
        (rows(changed(user_id=None)), "JSON Value: null Type: Null is not of expected type: int64"),
        (rows(changed(user_id=True)), "JSON Value: true Type: True is not of expected type: int64"),
        (rows(changed(user_id={"b64": "eA=="})), "Type: Object is not of expected type: int64"),
        (rows(changed(user_id=1 << 63)), "is not of expected type: int64"),
        (rows(changed(user_id=[1])), "Expects input user_id to have the shape (None,) but (1, 1) is provided"),
        (rows(changed(historical_item_ids=[])), ""),  # narrower than the aligned categories: the graph's own words
        ({"instances": [7]}, "JSON Value: 7 Type: Number is not of expected type: string"),
        ({"instances": [{"b64": "@"}]}, "Unable to base64 decode"),
        ({"instances": [[{"c64": ""}]]}, "not formatted correctly for base64 data"),
        (rows({**FIRST, "\udc82": 1}), "does not have named input: "),
        (rows({**FIRST, "\ud800": 1}), "does not have named input: ?"),
        (b'{"instances": [{"\xff": 1}]}', "does not have named input: "),
        ({"instances": ["\ud800"]}, "JSON Parse error: The surrogate pair in string is invalid."),
        ({"instances": ["no tf.Example"]}, "Could not parse example input"),
        ({"signature_name": "predict", "inputs": [1]}, "inputs is a plain value/list, but expecting an object as multiple input tensors"),
        ({"signature_name": "predict", "inputs": {"user_id": [1]}}, "Missing named input: candidate_category_id in 'inputs' object."),
        ({"signature_name": "echo", "inputs": {"text": "", "number": "1", "flag": True}}, "is not of expected type: float"),
        ({"signature_name": "echo", "inputs": {"text": "", "number": 10**400, "flag": True}}, "Number too big to be stored in double."),
        ({"signature_name": "echo", "inputs": {"text": "", "number": 1, "flag": 0}}, "is not of expected type: bool"),
    ],
)
def test_what_tf_serving_refuses_is_refused(predict, body, message):
    status, answer = predict(body)
    assert status == 400 and list(answer) == ["error"] and message in answer["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/other:predict", 404, "Servable not found for request: Latest(other)"),
        ("POST", "/demo/versions/3:predict", 404, "Servable not found for request: Specific(demo, 3)"),
        ("POST", "/demo/versions/99999999999999999999:predict", 400, "Failed to convert version: 99999999999999999999 to numeric."),
        ("POST", "/demo/labels/old:predict", 400, "Unrecognized servable version label: old"),
        ("POST", "/demo:classify", 400, "Expected classification signature method_name to be tensorflow/serving/classify."),
        ("POST", "/demo:explain", 400, "Malformed request: POST /v1/models/demo:explain"),
        ("POST", "/demo", 400, "Malformed request: POST /v1/models/demo"),
        ("GET", "/demo:predict", 400, "Malformed request: GET /v1/models/demo:predict"),
        ("PUT", "/demo:predict", 400, "Malformed request: PUT /v1/models/demo:predict"),
        ("GET", "/other", 404, "Could not find any versions of model other"),
        ("GET", "/demo/versions/9", 404, "Could not find version 9 of model demo"),
        ("GET", "/other/metadata", 404, "Servable not found for request: Latest(other)"),
        ("GET", "", 400, "Missing model name in request."),
    ],
)
def test_what_is_not_there_is_refused(ask, method, path, status, message):
    code, answer = ask(method, path, {"signature_name": "predict", "instances": INSTANCES} if method == "POST" else None)
    assert code == status and message in answer["error"]


def test_other_paths_are_not_found(ask):
    assert ask("GET", "/", whole_path=True)[0] == ask("POST", "/v2/models/demo", {}, whole_path=True)[0] == 404


def test_status_and_metadata_are_told_as_tf_serving_does(ask):
    ok = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    both = {"model_version_status": [{"version": "1", **ok}, {"version": "2", **ok}]}
    assert ask("GET", "/demo") == ask("GET", "/demo/labels/stable") == (200, both)
    assert ask("GET", "/demo/versions/2") == (200, {"model_version_status": both["model_version_status"][1:]})
    status, metadata = ask("GET", "/demo/labels/stable/metadata")
    assert status == 200 and metadata["model_spec"]["name"] == "demo" and metadata["model_spec"]["version"] == "1"
    user_id = metadata["metadata"]["signature_def"]["signature_def"]["predict"]["inputs"]["user_id"]
    assert user_id["dtype"] == "DT_INT64"
    assert user_id["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}


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


def test_an_unforeseen_error_is_an_answer_too(ask, stand_in, monkeypatch):
    def fail(spec):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(stand_in.endpoint, "version", fail)
    assert ask("POST", "/demo:predict", {"instances": [1]}) == (500, {"error": "RuntimeError: unforeseen"})
