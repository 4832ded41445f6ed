"""A running TF Serving gets the changes of `models.config` in steps that it accepts."""

import socket
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse, ModelVersionStatus
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigResponse
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceServicer, add_ModelServiceServicer_to_server
from tensorflow_serving.apis.status_pb2 import StatusProto

from components.serving.store.models_config import read_models_config
from pipeline.online.models_config_follower import Follower
from tests.components.serving import toy


class _TFServing(ModelServiceServicer):
    """Has TF Serving's rule: it does not move a label in use to a version that is not loaded."""

    def __init__(self):
        self.labels, self.available, self.broken, self.refused = {"stable": 1, "canary": 2}, {1, 2}, set(), 0

    def HandleReloadConfigRequest(self, request, context):
        (model,) = request.config.model_config_list.config
        for label, version in model.version_labels.items():
            if version not in self.available and self.labels.get(label, version) != version:
                self.refused += 1
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"Request to assign label to version {version}")
        self.labels = dict(model.version_labels)
        self.asked = set(model.model_version_policy.specific.versions)
        self.available = self.asked - self.broken
        return ReloadConfigResponse()

    def GetModelStatus(self, request, context):
        there = [ModelVersionStatus(version=version, state=ModelVersionStatus.AVAILABLE) for version in self.available]
        failed = {"state": ModelVersionStatus.END, "status": StatusProto(error_code=3)}
        there += [ModelVersionStatus(version=version, **failed) for version in self.broken]
        return GetModelStatusResponse(model_version_status=there)


@pytest.fixture
def tf_serving():
    service, server = _TFServing(), grpc.server(ThreadPoolExecutor(2))
    add_ModelServiceServicer_to_server(service, server)
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield service
    server.stop(0).wait()


@pytest.fixture
def follower(folder, tf_serving):
    lines = []
    result = Follower(folder, read_models_config(folder), tf_serving.address, lines.append)
    result.lines = lines
    return result


def test_a_push_and_a_rollback_are_handed_to_a_running_server(folder, tf_serving, follower):
    assert follower.is_ready()
    follower.follow()
    assert follower.lines == []
    for labels in ({"stable": 3, "canary": 3}, {"stable": 1}):
        toy.serve(folder, **labels)
        follower.follow()
        assert (tf_serving.labels, tf_serving.available) == (labels, set(labels.values()))
    assert tf_serving.refused == 0
    assert follower.lines == ["served now: canary 3, stable 3", "served now: stable 1"]


def test_a_version_that_has_a_link_is_loaded_before_it_has_a_label(folder, tf_serving, follower):
    """So push can wait until the server has loaded it."""
    toy.serve(folder, 3, stable=1, canary=2)
    follower.follow()
    assert (tf_serving.labels, tf_serving.asked) == ({"stable": 1, "canary": 2}, {1, 2, 3})
    toy.serve(folder, stable=1, canary=2)
    follower.follow()
    assert tf_serving.asked == {1, 2} and follower.lines == []


def test_a_version_that_does_not_load_leaves_the_server_as_it_was(folder, tf_serving, follower):
    tf_serving.broken = {3}
    toy.serve(folder, stable=3)
    follower.follow()
    assert tf_serving.asked == {1, 2, 3} and follower.lines == []
    follower.follow()
    follower.follow()
    assert (tf_serving.labels, tf_serving.available) == ({"stable": 1, "canary": 2}, {1, 2})
    assert follower.lines == ["TF Serving cannot load 3: it keeps serving the same versions."]


def test_what_fails_to_load_at_first_is_served_when_it_is_there(folder, tf_serving, follower):
    tf_serving.broken = {3}
    toy.serve(folder, stable=3)
    follower.follow()
    tf_serving.broken, tf_serving.available = set(), {1, 2, 3}  # TF Serving's own retries succeed
    follower.follow()
    assert (tf_serving.labels, tf_serving.asked) == ({"stable": 3}, {3})


def test_a_configuration_that_cannot_be_read_is_reported_once(folder, follower):
    (folder / "models.config").write_text("{")
    follower.follow()
    follower.follow()
    (line,) = follower.lines
    assert "cannot be read" in line


def test_a_server_that_is_not_there_is_not_ready(folder):
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        lines = []
        absent = Follower(folder, read_models_config(folder), f"127.0.0.1:{taken.getsockname()[1]}", lines.append)
        assert not absent.is_ready()
        toy.serve(folder, stable=3)
        absent.follow()
    assert lines and "it keeps serving the same versions" in lines[0]
