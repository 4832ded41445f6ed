"""A TF Serving is asked over gRPC: the wire format is that of tensorflow-serving-api."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse, ModelVersionStatus
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceServicer, add_ModelServiceServicer_to_server
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceServicer, add_PredictionServiceServicer_to_server
from tensorflow_serving.apis.status_pb2 import StatusProto

from components.serving.servers.asked_server import GrpcServer, Unreachable, VersionState
from components.serving.servers.server_url import is_server_url
from components.serving.store.models_config import ServedModel, write_models_config
from components.serving.store.versions import write_servers
from pipeline.cli.main import main
from tests.conftest import ROOT


class Models(ModelServiceServicer):
    def GetModelStatus(self, request, context):
        if request.model_spec.name != "demo" or request.model_spec.WhichOneof("version_choice"):
            context.abort(grpc.StatusCode.NOT_FOUND, "Could not find any versions of model")
        failed = StatusProto(error_code=5, error_message="Could not find\nSavedModel")
        states = [(12, ModelVersionStatus.AVAILABLE, None), (13, ModelVersionStatus.LOADING, None), (14, ModelVersionStatus.END, failed)]
        return GetModelStatusResponse(model_version_status=[ModelVersionStatus(version=v, state=s, status=f) for v, s, f in states])


class Predictions(PredictionServiceServicer):
    def GetModelMetadata(self, request, context):
        assert list(request.metadata_field) == ["signature_def"] and request.model_spec.name == "demo"
        if request.model_spec.version_label == "canary":
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(demo, 14)")
        if request.model_spec.version_label != "stable":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Unrecognized servable version label: nope")
        response = GetModelMetadataResponse()
        response.model_spec.name = "demo"
        response.model_spec.version.value = 12
        response.metadata["signature_def"].Pack(SignatureDefMap())
        return response


@pytest.fixture
def url():
    server = grpc.server(ThreadPoolExecutor(2))
    add_ModelServiceServicer_to_server(Models(), server)
    add_PredictionServiceServicer_to_server(Predictions(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"grpc://127.0.0.1:{port}"
    server.stop(None).wait()


def test_the_states_of_the_versions(url):
    states = GrpcServer(url, "demo").states()
    assert states == {12: VersionState("AVAILABLE"), 13: VersionState("LOADING"), 14: VersionState("END", "Could not find SavedModel")}
    assert GrpcServer(url, "other").states() == {}


def test_the_version_that_answers_for_a_label(url):
    server = GrpcServer(url, "demo")
    assert [server.labelled(label) for label in ("stable", "canary", "nope")] == [12, None, None]


def test_a_server_that_is_not_there():
    server = GrpcServer("grpc://127.0.0.1:9", "demo")
    for ask in (server.states, lambda: server.labelled("stable")):
        with pytest.raises(Unreachable, match=r"UNAVAILABLE: .*127\.0\.0\.1:9"):
            ask()


def test_asking_imports_no_tensorflow():
    code = (
        "import sys; from components.serving.servers.asked_server import GrpcServer; from components.serving.servers import status\n"
        "try: GrpcServer('grpc://127.0.0.1:9', 'demo').states()\nexcept Exception as error: print(type(error).__name__)\n"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Unreachable", "False"]


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("grpc://127.0.0.1:8500", True),
        ("grpc://serving.example.com:1", True),
        ("grpc://[::1]:65535", True),
        ("grpc://a:65536", False),
        ("grpc://a:0", False),
        ("grpc://a", False),
        ("http://a:8501", False),
        ("a:8500", False),
        ("grpc://a:8500/demo", False),
        ("grpc://a:8500\n", False),
        ("grpc://a:٨", False),
    ],
)
def test_the_address_of_a_server(url, right):
    assert is_server_url(url) is right


def test_din_status(url, tmp_path, capsys):
    base = tmp_path / "serving" / "demo"
    (base / "12").mkdir(parents=True)
    write_models_config(base, ServedModel("demo", str(base), {"stable": 12}))
    write_servers(base, [url])
    assert main(["status", "--workspace", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{base}",
        "  expected: stable 12; loaded 12",
        f"  {url}: stable 12; loaded 12; as expected",
        "    version 14: END: Could not find SavedModel",
    ]
    write_models_config(base, ServedModel("demo", str(base), {"stable": 12, "canary": 12}))
    assert main(["status", "--workspace", str(tmp_path), "--json"]) == 1
    assert '"labels": {"canary": null, "stable": 12}' in capsys.readouterr().out
    write_servers(base, [])
    assert main(["status", "--workspace", str(tmp_path)]) == 0
    assert "no server can be asked" in capsys.readouterr().out


def test_din_promote_refuses_with_3_if_a_server_is_not_there(tmp_path, capsys):
    base = tmp_path / "serving" / "demo"
    for version in (12, 13):
        (base / str(version)).mkdir(parents=True)
    write_models_config(base, ServedModel("demo", str(base), {"stable": 12, "canary": 13}))
    write_servers(base, ["grpc://127.0.0.1:9"])
    before = (base / "models.config").read_bytes()
    assert main(["promote", "--workspace", str(tmp_path)]) == 3
    err = capsys.readouterr().err
    assert err.startswith("din: grpc://127.0.0.1:9 in serving.servers cannot be reached (UNAVAILABLE: ") and err.count("\n") == 1
    assert (base / "models.config").read_bytes() == before
