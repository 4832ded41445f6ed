"""The REST server over a socket: TF Serving's answers, and its status codes for refusals."""

import base64
import math

import numpy as np
import pytest

from components.serving.model.impression_tensors import json_inputs, json_instances, predict_tensors, rank_tensors, to_example
from tests.components.serving import toy
from tests.pipeline.online.stand_in.toy_instances import EXPECTED, FEATURES, INSTANCES


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
