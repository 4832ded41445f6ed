"""The client over REST and gRPC, against the stand-in and against servers that fail."""

import json
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis.predict_pb2 import PredictResponse
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceServicer, add_PredictionServiceServicer_to_server

from components.serving.model.impression_tensors import Input, inputs_of, predict_tensors
from din_trainer.features import FeatureConfig
from pipeline.cli.main import main
from pipeline.online.client.client import Client, InvalidRequest, NotFound, ServingError, Timeout, Unavailable, parse_url
from tests.components.serving import toy

PROTOCOLS = ("rest_url", "grpc_url")


@pytest.fixture(params=PROTOCOLS)
def url(request, stand_in):
    return getattr(stand_in, request.param)


@pytest.mark.parametrize(("which", "bias"), [("", 0.2), ("/labels/stable", 0.1), ("/versions/1", 0.1)])
def test_scores_are_the_models_own_in_any_batches(url, which, bias):
    rows = toy.ROWS * 3
    expected = [toy.probability(row, bias) for row in rows]
    for size in (1, 2, 100):
        with Client(url + which, batch_size=size) as client:
            np.testing.assert_allclose(client.predict(rows), expected, rtol=1e-6)


def test_both_protocols_give_the_very_same_scores(stand_in):
    scores = [Client(getattr(stand_in, name)).predict(toy.ROWS) for name in PROTOCOLS]
    assert scores[0] == scores[1]


def test_tf_examples_give_the_same_scores(url):
    np.testing.assert_allclose(Client(url, signature="serving_default").predict(toy.ROWS), Client(url).predict(toy.ROWS), rtol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 4, 1000])
def test_rank_gives_the_scores_of_each_users_candidates(url, size):
    expected = [[toy.probability({**user, **row}, 0.2) for row in rows] for user, rows in zip(toy.ROWS, toy.CANDIDATES, strict=True)]
    scores = Client(url, batch_size=size).rank(toy.ROWS, toy.CANDIDATES)
    assert [len(row) for row in scores] == [2, 1, 0]
    np.testing.assert_allclose([*scores[0], *scores[1]], [*expected[0], *expected[1]], rtol=1e-6)


def test_nothing_is_scored_as_nothing(url):
    assert Client(url).predict([]) == [] and Client(url).rank([], []) == []


def test_what_the_model_reads_is_told_by_its_signatures(url):
    assert sorted(Client(url).features()) == sorted(
        Input(read.column._replace(role="context") if read.column.role == "user" else read.column, read.number)
        for read in inputs_of(FeatureConfig())
    )


def test_numbers_and_text_are_told_apart(monkeypatch):
    one = {"age": ("DT_STRING", 1), "hour": ("DT_DOUBLE", 1), "price": ("DT_FLOAT", 1), "user_id": ("DT_INT64", 1)}
    signatures = {"predict": {**one, "item": ("DT_STRING", 1)}, "rank": {**one, "item": ("DT_STRING", 2)}}
    client = Client("http://127.0.0.1:1/v1/models/demo")
    monkeypatch.setattr(client._transport, "signatures", lambda: signatures)
    features = FeatureConfig.model_validate(
        {
            "behaviours": {"item": {"candidate": "item", "history": "items", "dtype": "bytes"}},
            "user": {"user_id": {}, "age": {"dtype": "bytes"}},
            "context": {"hour": {"kind": "numeric"}, "price": {"kind": "numeric", "dtype": "float"}},
        }
    )
    rows = [{"user_id": 1, "item": "a", "hour": 3, "price": 1.5, "age": None}, {"user_id": 2, "item": "b", "hour": None}]
    ours, configured = (predict_tensors(rows, known) for known in (client.features(), features))
    for name, values in ours.items():
        assert values.dtype == configured[name].dtype
        np.testing.assert_array_equal(values, configured[name])
    assert configured["hour"].dtype == np.float64 and np.isnan(configured["hour"][1])


def test_rows_that_are_not_what_the_model_reads_are_value_errors(url):
    client = Client(url)
    with pytest.raises(ValueError, match="'candidate_item_id' needs one value"):
        client.predict([{**toy.ROWS[0], "candidate_item_id": None}])
    with pytest.raises(ValueError, match="'user_id' is \"x\", but int64 is needed"):
        client.predict([{**toy.ROWS[0], "user_id": "x"}])


def test_errors_are_typed_and_name_the_url(stand_in):
    for name in PROTOCOLS:
        url = getattr(stand_in, name)
        with pytest.raises(NotFound, match="version 9 of model 'demo' is not served") as raised:
            Client(f"{url}/versions/9").predict(toy.ROWS)
        assert str(raised.value).startswith(f"{url}/versions/9 answered ")
        with pytest.raises(InvalidRequest, match="label 'old' of model 'demo' is not served"):
            Client(f"{url}/labels/old").predict(toy.ROWS)


@pytest.mark.parametrize("scheme", ["http://127.0.0.1:{}/v1/models/demo", "grpc://127.0.0.1:{}/demo"])
def test_no_server_is_unavailable(scheme):
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        url = scheme.format(taken.getsockname()[1])
        with pytest.raises(Unavailable, match="refused"):
            Client(url, retries=1).predict(toy.ROWS)


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8501", "http://host/v1/models/", "http://host/models/demo", "grpc://host", "http://h/v1/models/d:predict"]
)
def test_other_urls_are_refused(url):
    with pytest.raises(ValueError, match="names no served model"):
        parse_url(url)


class _Failing(BaseHTTPRequestHandler):
    """Answers with the statuses in `server.statuses`, one after another, then with scores; None: not at all."""

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
        import tensorflow as tf

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


def test_rest_does_without_tensorflow(stand_in):
    code = """
import json, sys
from pipeline.online.client.client import Client
print(json.dumps(Client(sys.argv[1]).predict(json.loads(sys.argv[2]))))
assert "tensorflow" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code, stand_in.rest_url, json.dumps(toy.ROWS)], capture_output=True, text=True, check=True)
    np.testing.assert_allclose(json.loads(done.stdout), [toy.probability(row, 0.2) for row in toy.ROWS], rtol=1e-6)


@pytest.fixture
def jsonl(tmp_path):
    def write(rows):
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(file)

    return write


def predicted(capfd, *arguments):
    assert main(["predict", *map(str, arguments)]) == 0
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_din_predict_gives_the_same_from_a_folder_and_from_a_url(url, toy_folder, jsonl, capfd):
    file = jsonl([{**row, "label": 1} for row in toy.ROWS])
    local = predicted(capfd, "--model", toy_folder / "2", file)
    served = predicted(capfd, "--url", url, file)
    assert [list(row) for row in local] == [list(row) for row in served]
    for ours, theirs in zip(local, served, strict=True):
        assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-6)
        assert {**ours, "probability": 0} == {**theirs, "probability": 0}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"user_id": "x"}, ", line 2: feature 'user_id' is \"x\", but int64 is needed."),
        ({"candidate_item_id": None}, ", line 2: feature 'candidate_item_id' needs one value an impression."),
    ],
)
def test_din_predict_names_the_line(stand_in, jsonl, capfd, change, reason):
    file = jsonl([toy.ROWS[0], {**toy.ROWS[1], **change}, toy.ROWS[2]])
    assert main(["predict", "--url", stand_in.rest_url, file]) == 2
    out, err = capfd.readouterr()
    assert out == "" and reason in err and err.count("\n") == 1


def test_din_predict_names_the_lines_that_a_server_refuses(stand_in, jsonl, capfd, monkeypatch):
    def refuse(self, rows):
        raise InvalidRequest("http://127.0.0.1:1/v1/models/demo answered 400: no.")

    monkeypatch.setattr(Client, "predict", refuse)
    assert main(["predict", "--url", stand_in.rest_url, jsonl(toy.ROWS)]) == 2
    out, err = capfd.readouterr()
    assert out == "" and ", lines 1 to 3: http://127.0.0.1:1/v1/models/demo answered 400" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://x", "ftp://x names no served model"),
        ("http://127.0.0.1:1/v1/models/demo", "http://127.0.0.1:1/v1/models/demo cannot be reached"),
    ],
)
def test_din_predict_says_what_is_wrong_with_a_url(url, reason, jsonl, capfd):
    assert main(["predict", "--url", url, jsonl(toy.ROWS)]) == 2
    err = capfd.readouterr().err
    assert reason in err and err.count("\n") == 1


def test_din_predict_wants_a_model_for_a_folder(tmp_path, capfd):
    assert main(["predict", "--url", "grpc://x/demo", str(tmp_path), "--out", "x"]) == 2
    assert "name the model with --model" in capfd.readouterr().err


def test_a_port_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"grpc://127.0.0.1:99999/demo: port out of range 0-65535\."):
        Client("grpc://127.0.0.1:99999/demo")
