"""InfraGate blesses a good export with its measurements, and refuses each bad one in a sentence that names the cause."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from benchmarks.exports.small_export import IMPRESSIONS
from components.artifact_types import LOADING_FILE, SAMPLE_FILE, ScoredSample
from components.infra_gate import InfraGate
from components.sameness import trained_scores
from components.serving.model import loaded_model
from components.serving.model.impression_tensors import as_impressions
from components.serving.model.model_errors import RunError
from components.serving.model.warm_up import read_warm_up
from din_trainer.config import ORIGIN_FILE, DINConfig
from tests.components.serving import toy
from tests.conftest import ROOT

WARM_UP = "tf_serving_warmup_requests"

CANDIDATES = toy.CANDIDATES[:1] * 3
SAMPLE = {
    "users": toy.ROWS,
    "candidates": CANDIDATES,
    "probability": [[toy.probability({**row, **candidate}) for candidate in CANDIDATES[0]] for row in toy.ROWS],
}


@pytest.fixture(scope="module")
def toy_export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "1"
    toy.save(folder)
    return folder


@pytest.fixture(autouse=True)
def no_model_server_on_the_path_and_short_measurements(monkeypatch):
    monkeypatch.setattr("components.serving.gate.examine_export._RUNS", 20)
    monkeypatch.setattr("components.serving.model.model_server_process.shutil.which", lambda name: None)


class Outcome:
    """The artifact that the gate wrote."""

    def __init__(self, blessing):
        self.folder = Path(blessing.uri)
        self.loading = json.loads((self.folder / LOADING_FILE).read_text())
        self.blessed = blessing.get_int_custom_property("blessed")
        self.refused_because = self.loading["refused_because"]
        names = {path.name for path in self.folder.iterdir()} - {WARM_UP}
        assert names == {LOADING_FILE, "INFRA_BLESSED" if self.blessed else "INFRA_NOT_BLESSED"}
        assert self.loading["blessed"] is bool(self.blessed) is (self.refused_because is None)


@pytest.fixture
def gate(toy_export, tmp_path):
    """Runs the gate on a copy of an export that is damaged first."""

    def run(damage=lambda path: None, of=None, sample=None, **settings):
        model, scored, blessing = standard_artifacts.Model(), ScoredSample(), standard_artifacts.InfraBlessing()
        model.uri, scored.uri, blessing.uri = (str(tmp_path / name) for name in ("model", "sample", "blessing"))
        saved_model = Path(path_utils.serving_model_dir(model.uri))
        shutil.copytree(of or toy_export, saved_model)
        damage(saved_model)
        Path(scored.uri).mkdir()
        Path(scored.uri, SAMPLE_FILE).write_text(json.dumps(sample or SAMPLE))
        InfraGate.EXECUTOR_SPEC.executor_class._FUNCTION(
            model=model, sample=scored, blessing=blessing, settings=json.dumps(settings), run_id=""
        )
        return Outcome(blessing)

    return run


def edit(change):
    """Returns a function that damages the proto of a SavedModel."""

    def damage(path):
        proto = SavedModel.FromString((path / "saved_model.pb").read_bytes())
        change(proto.meta_graphs[0])
        (path / "saved_model.pb").write_bytes(proto.SerializeToString())

    return damage


def test_a_good_export_is_blessed_with_its_measurements_and_warm_up_requests(gate, small_export):
    """An export of this pipeline with every kind of feature, and its training-time scores as Sameness writes them."""
    categories = [[(7, "a"), (3, "b")], [(0, "ü"), (9, "a")], [(12345, "none of them"), (3, "b")]]
    candidates = [[{"candidate_item_id": item, "candidate_category_id": category} for item, category in row] for row in categories]
    scores, _ = trained_scores(small_export.model, small_export.transform_output, as_impressions(IMPRESSIONS, candidates))
    sample = {"users": IMPRESSIONS, "candidates": candidates, "probability": scores.reshape(3, 2).tolist()}
    outcome = gate(of=small_export.saved_model, sample=sample, latency_ms=10_000, memory_mb=10_000)
    assert outcome.blessed == 1, outcome.refused_because
    loading = outcome.loading
    assert loading["how"] == "TensorFlow's C++ loader" and loading["requests"] == 6
    assert 0 <= loading["largest_difference"] <= 1e-6
    assert set(loading["latency_ms"]) == {"serving_default", "predict", "rank"}
    assert all(0 < latency["p50"] <= latency["p99"] for latency in loading["latency_ms"].values())
    assert 0 < loading["memory_mb"] < 10_000
    requests = read_warm_up(outcome.folder / WARM_UP)
    sizes = [(request.signature, len(next(iter(request.tensors.values())))) for request in requests]
    assert sizes == [("serving_default", 1), ("predict", 1), ("serving_default", 6), ("predict", 6), ("rank", 1), ("rank", 3)]
    assert requests[-1].tensors["candidate_item_id"].tolist() == [[7, 3], [0, 9], [12345, 3]]
    assert requests[-1].tensors["candidate_category_id"][1].tolist() == ["ü".encode(), b"a"]
    assert requests[-1].tensors["historical_category_ids"][0].tolist() == [b"b", b"a", b"a", b"a", b"c"]


def one(paths):
    (path,) = paths
    return path


def truncate(path):
    data = one(path.glob("variables/variables.data*"))
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])


def corrupt(path):
    data = one(path.glob("variables/variables.data*"))
    data.write_bytes(bytes(byte ^ 1 for byte in data.read_bytes()))


def reverse(path):
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))


@edit
def rename_op(graph):
    for function in graph.graph_def.library.function:
        for node in function.node_def:
            node.op = "DinNoSuchOp" if node.op == "Sigmoid" else node.op


@edit
def drop_input(graph):
    del graph.signature_def["predict"].inputs["user_id"]


@edit
def add_input(graph):
    graph.signature_def["rank"].inputs["colour"].CopyFrom(graph.signature_def["rank"].inputs["user_id"])


@edit
def retype_input(graph):
    graph.signature_def["predict"].inputs["historical_item_ids"].dtype = tf.int32.as_datatype_enum


@edit
def flatten_input(graph):
    del graph.signature_def["rank"].inputs["candidate_category_id"].tensor_shape.dim[1]


@edit
def rename_output(graph):
    outputs = graph.signature_def["serving_default"].outputs
    outputs["score"].CopyFrom(outputs["probability"])
    del outputs["probability"]


@edit
def drop_rank(graph):
    del graph.signature_def["rank"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: (path / "assets" / "item").unlink(), r"cannot be loaded: .*assets/item"),
        (truncate, "cannot be loaded, since a file of its variables is cut short: "),
        (corrupt, "cannot be loaded, since a file of its variables is damaged: "),
        (rename_op, "cannot be loaded: Op type not registered 'DinNoSuchOp'"),
        (lambda path: reverse(path / "assets" / "item"), r"scores of signature '.*' are up to 0\.\d+ off the training-time ones, .*e-"),
        (lambda path: (path / "saved_model.pb").unlink(), "holds no saved_model.pb"),
        (lambda path: (path / "saved_model.pb").write_bytes(b"no proto"), "cannot be loaded"),
        (lambda path: (path / ORIGIN_FILE).write_text("{}"), "din.json cannot be read"),
        (drop_input, "signature 'predict' lacks the input 'user_id'"),
        (add_input, "signature 'rank' has the input 'colour', which is not a feature"),
        (retype_input, "input 'historical_item_ids' of signature 'predict' is int32, but int64 is needed"),
        (flatten_input, "the rank of input 'candidate_category_id' of signature 'rank' is 1, but 2 is needed"),
        (rename_output, "signature 'serving_default' lacks the output 'probability': it gives 'score'"),
        (drop_rank, "the export has no signature 'rank'"),
    ],
    ids=[
        "missing asset", "truncated variables", "damaged variables", "unregistered op", "wrong vocabulary", "no proto", "broken proto",
        "no features", "input missing", "input too many", "input of another type", "input of another rank", "output renamed", "no rank",
    ],
)  # fmt: skip
def test_a_bad_export_is_refused_by_its_cause(gate, damage, reason):
    assert_refused(gate(damage), reason)


def assert_refused(outcome, reason):
    assert outcome.blessed == 0
    told = outcome.refused_because
    assert told.endswith(".") and "\n" not in told
    assert re.search(reason, told), told


def overwrite_weights(path):
    prefix = str(path / "variables" / "variables")
    saved = tf.train.load_checkpoint(prefix)
    names = sorted(saved.get_variable_to_shape_map())
    values = [saved.get_tensor(name) for name in names]
    tensors = [np.full_like(value, np.nan) if np.asarray(value).dtype == np.float32 else value for value in values]
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors)


def test_weights_that_are_no_numbers_are_refused(gate):
    assert_refused(gate(overwrite_weights), r"signature 'serving_default' gives scores that are not finite \(1 of 1\)")


def test_training_time_scores_that_are_no_numbers_are_refused(gate):
    broken = {**SAMPLE, "probability": [[None, None]] * 3}
    assert_refused(gate(sample=broken), "training-time scores of the sample are not finite")


def test_an_empty_sample_proves_nothing(gate):
    assert_refused(gate(sample={"users": [], "candidates": [], "probability": []}), "the sample is empty")


def test_python_in_the_graph_is_refused(gate, tmp_path, monkeypatch):
    graph_score = toy._Toy.score
    monkeypatch.setattr(toy._Toy, "score", lambda self, **raw: {"probability": python_identity(graph_score(self, **raw)["probability"])})

    def python_identity(x):
        y = tf.py_function(lambda value: value, [x], tf.float32)
        y.set_shape(x.shape)
        return y

    toy.save(tmp_path / "toy")
    reason = "signature 'serving_default' fails on one impression of the sample, since its graph calls Python, .*: .* Op 'EagerPyFunc'.$"
    assert_refused(gate(of=tmp_path / "toy"), reason)


@pytest.mark.parametrize(
    ("bound", "reason"),
    [
        ({"latency_ms": 0}, r"takes \d+\.\d\d ms \(p99 at batch 1\), but at most 0 ms are asked for"),
        ({"memory_mb": 0.5}, r"takes \d+ MB of memory, but at most 0.5 MB are asked for"),
    ],
)
def test_bounds_are_held(gate, bound, reason):
    assert_refused(gate(**bound), reason)


def test_an_export_that_ends_its_process_is_refused(gate, tmp_path, monkeypatch):
    program = tmp_path / "loader.py"
    program.write_text(
        "import os\nfrom components.serving.model import loader_process as loader\n"
        "loader.Session.run = lambda *_: os.abort()\nloader.main()\n"
    )
    monkeypatch.setattr(loaded_model, "_LOADER_COMMAND", [sys.executable, str(program)])
    assert_refused(gate(), "the export ended the process that held it: the process was ended by signal 6.")


def test_an_export_that_fails_later_is_refused(gate, monkeypatch):
    def fail(self, signature, inputs, repeat):
        raise RunError(8, "no memory is left")

    monkeypatch.setattr(loaded_model.LoadedModel, "time", fail)
    assert_refused(gate(), "fails on a request that it answered before: no memory is left.$")


@pytest.fixture
def executable(tmp_path):
    """A `tensorflow_model_server` of a few lines."""

    def write(*words):
        path = tmp_path / "tensorflow_model_server"
        path.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *words])} "$@"\n')
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture
def server(executable):
    """An executable that takes TF Serving's flags and answers as it does."""
    return executable(str(ROOT / "tests" / "components" / "serving" / "fake_model_server.py"))


def test_a_model_server_is_asked_over_grpc_and_rest(gate, server):
    outcome = gate(model_server=server)
    assert outcome.blessed == 1, outcome.refused_because
    loading = outcome.loading
    assert loading["how"] == "tensorflow_model_server" and loading["requests"] == 12
    assert 0 <= loading["largest_difference"] <= 1e-6
    assert set(loading["latency_ms"]) == {"serving_default", "predict", "rank"} and loading["memory_mb"] > 0


@pytest.fixture
def two_labels(tmp_path, monkeypatch):
    """Saves an export whose second probability is the square of the first, or is off by something. Returns it with its sample."""

    def save(off=0.0):
        graph_score = toy._Toy.score

        def score(self, **raw):
            first = graph_score(self, **raw)["probability"]
            return {"probability": first, "probability_purchase": first**2 + off}

        monkeypatch.setattr(toy._Toy, "score", score)
        toy.save(tmp_path / "toy")
        config = DINConfig.model_validate({"features": {"labels": ["click", "purchase"]}})
        (tmp_path / "toy" / ORIGIN_FILE).write_text(json.dumps({"config": config.model_dump(mode="json"), "source": "toy"}))
        squares = [[probability**2 for probability in row] for row in SAMPLE["probability"]]
        return {"of": tmp_path / "toy", "sample": {**SAMPLE, "probability_purchase": squares}}

    return save


@pytest.mark.parametrize("asked", ["loader", "server"])
def test_every_label_is_compared(gate, server, two_labels, asked):
    outcome = gate(**two_labels(), model_server=server if asked == "server" else "")
    assert outcome.blessed == 1, outcome.refused_because
    assert outcome.loading["requests"] == (12 if asked == "server" else 6) and 0 <= outcome.loading["largest_difference"] <= 1e-6


def test_a_further_label_that_is_off_is_refused(gate, server, two_labels):
    reason = "scores of signature 'serving_default' over gRPC, output 'probability_purchase', are up to 0.25 off the training-time ones"
    assert_refused(gate(**two_labels(0.25), model_server=server), reason)


def test_a_model_server_on_the_path_is_found(gate, server, monkeypatch):
    monkeypatch.setattr("components.serving.model.model_server_process.shutil.which", {"tensorflow_model_server": server}.get)
    monkeypatch.setenv("FAKE_REST_SHIFT", "0.25")
    assert_refused(gate(), "scores of signature 'serving_default' over REST are up to 0.25 off the training-time ones")


def test_a_model_server_that_cannot_load_says_why(gate, executable):
    program = "import sys; sys.exit('Failed to start server. Error: Unknown: 1 servable(s) did not become available: {no such asset}')"
    reason = r"cannot be loaded: tensorflow_model_server ended with exit code 1 \(1 servable\(s\) .*: \{no such asset\}\)\.$"
    assert_refused(gate(model_server=executable("-c", program)), reason)


def test_a_model_server_that_fails_to_load_but_stays_is_reported(gate, executable):
    status = {"state": "END", "status": {"error_code": "NOT_FOUND", "error_message": "no such asset"}}
    assert_refused(gate(model_server=executable("-c", STATUS_SERVER, json.dumps(status), "stay")), "cannot be loaded: no such asset.$")


def test_a_model_server_that_dies_is_reported(gate, executable):
    server = executable("-c", STATUS_SERVER, '{"state": "AVAILABLE"}', "die")
    assert_refused(gate(model_server=server), "ended the process that held it: tensorflow_model_server was ended by signal 9")


STATUS_SERVER = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        content = json.dumps({"model_version_status": [json.loads(sys.argv[1])]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        if sys.argv[2] == "die":
            os.kill(os.getpid(), 9)
port = next(word.split("=")[1] for word in sys.argv if word.startswith("--rest_api_port="))
http.server.HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""


def test_a_model_server_that_is_not_there_is_reported(gate):
    server = "/nowhere/tensorflow_model_server"
    assert_refused(gate(model_server=server), f"cannot be loaded: {server} cannot be started: No such file or directory.$")


def test_each_signature_is_held_against_the_tolerance(gate, monkeypatch):
    """Only the scores of `rank` are wrong."""
    run = loaded_model.LoadedModel.run

    def off(self, signature, inputs, timeout=60.0):
        outputs = run(self, signature, inputs, timeout)
        return {name: x + 1e-4 for name, x in outputs.items()} if signature == "rank" else outputs

    monkeypatch.setattr(loaded_model.LoadedModel, "run", off)
    outcome = gate()
    assert outcome.blessed == 0 and "scores of signature 'rank' are up to 0.0001 off" in outcome.refused_because
