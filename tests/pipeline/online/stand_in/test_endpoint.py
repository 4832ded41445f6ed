"""Which version answers a request, and how the versions follow `models.config`."""

import shutil
import threading

import numpy as np
import pytest
from grpc import StatusCode
from tensorflow_serving.apis.model_pb2 import ModelSpec

from components.base.errors import InputError
from components.serving.model.impression_tensors import predict_tensors
from components.serving.store.models_config import ServedModel, write_models_config
from din_trainer.features import FeatureConfig
from pipeline.online.stand_in.endpoint import Endpoint
from pipeline.online.stand_in.status_error import StatusError
from pipeline.online.stand_in.version_manager import Behaviour
from tests.components.serving import toy

TENSORS = predict_tensors(toy.ROWS, FeatureConfig())


def spec(name="demo", version=None, label=None):
    result = ModelSpec(name=name, version_label=label)
    if version is not None:
        result.version.value = version
    return result


@pytest.fixture
def folder(toy_folder, tmp_path):
    """A copy to change."""
    return shutil.copytree(toy_folder, tmp_path / "demo", symlinks=True)


@pytest.fixture
def told():
    return []


@pytest.fixture
def endpoint(folder, told):
    result = Endpoint(folder, told.append)
    yield result
    result.close()


def refused(call, *args):
    with pytest.raises(StatusError) as raised:
        call(*args)
    return raised.value.code, raised.value.message


def test_the_latest_of_the_loaded_versions_answers_unless_another_is_asked_for(endpoint):
    assert endpoint.version(spec()).number == 2  # 3 is there, but not served
    assert endpoint.version(spec(version=1)).number == 1
    assert endpoint.version(spec(label="stable")).number == 1
    assert endpoint.version(spec(label="canary")).number == 2


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        (spec(version=3), StatusCode.NOT_FOUND, "version 3 of model 'demo' is not served"),
        (spec("other"), StatusCode.NOT_FOUND, "model 'other' is not served"),
        (spec("other", version=1), StatusCode.NOT_FOUND, "version 1 of model 'other' is not served"),
        (spec("other", label="stable"), StatusCode.INVALID_ARGUMENT, "label 'stable' of model 'other' is not served"),
        (spec(label="old"), StatusCode.INVALID_ARGUMENT, "label 'old' of model 'demo' is not served"),
        (spec(""), StatusCode.INVALID_ARGUMENT, "the request names no model"),
    ],
)
def test_unknown_versions_are_refused(stand_in, asked, code, message):
    assert refused(stand_in.endpoint.version, asked) == (code, message)


def test_scores_are_those_of_the_version(endpoint):
    for number in (1, 2):
        scores = endpoint.version(spec(version=number)).run("predict", TENSORS)["probability"]
        np.testing.assert_allclose(scores, [toy.probability(row, number / 10) for row in toy.ROWS], rtol=1e-6)


def test_a_push_and_a_rollback_take_effect_while_requests_are_answered(endpoint, folder, told):
    answers, failures, stop = [], [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                answers.append(float(endpoint.version(spec()).run("predict", TENSORS)["probability"][0]))
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    under_way = endpoint.version(spec(version=2))
    toy.serve(folder, stable=3)
    endpoint.refresh()
    assert endpoint.version(spec(label="stable")).number == endpoint.version(spec()).number == 3
    assert refused(endpoint.version, spec(version=2))[0] == StatusCode.NOT_FOUND
    np.testing.assert_allclose(under_way.run("predict", TENSORS)["probability"][0], toy.probability(toy.ROWS[0], 0.2), rtol=1e-6)
    toy.serve(folder, stable=1)
    endpoint.refresh()
    assert endpoint.version(spec()).number == 1
    stop.set()
    thread.join()
    possible = [toy.probability(toy.ROWS[0], bias) for bias in (0.1, 0.2, 0.3)]
    assert not failures and answers and all(min(abs(answer - p) for p in possible) < 1e-6 for answer in answers)
    # each was loaded before the other was dropped
    assert told[2:] == [
        "version 3 is served",
        "version 1 is no longer served",
        "version 2 is no longer served",
        "version 1 is served",
        "version 3 is no longer served",
    ]
    states = {status.version: status.state for status in endpoint.status(spec()).model_version_status}
    assert states == {1: 30, 2: 50, 3: 50}  # AVAILABLE, END


def test_a_version_that_cannot_be_loaded_changes_nothing_but_the_status(endpoint, folder, told):
    (folder / "3" / "saved_model.pb").write_bytes(b"broken")
    toy.serve(folder, stable=3, canary=2)
    endpoint.refresh()
    assert endpoint.version(spec(label="stable")).number == 1 and endpoint.version(spec()).number == 2
    status = next(status for status in endpoint.status(spec()).model_version_status if status.version == 3)
    assert status.state == 50 and status.status.error_code != 0 and status.status.error_message
    assert told[-1].startswith("version 3 cannot be served: ")


def test_a_broken_configuration_is_reported_and_what_is_served_stays(endpoint, folder, told):
    (folder / "models.config").write_text("model_config_list {")
    endpoint.refresh()
    assert endpoint.version(spec(label="stable")).number == 1 and "models.config cannot be read" in told[-1]


def test_it_can_behave_like_a_tf_serving_that_polls_the_file(folder, told):
    """Polls each 5 s, loads of 25 s: the file that moves the label is refused until its version is loaded."""
    times = iter(range(1000))
    slow = Endpoint(folder, told.append, Behaviour(load_seconds=25, config_poll_seconds=5, refuses=True), lambda: next(times), runs=False)
    toy.serve(folder, 3, stable=1, canary=2)
    for _ in range(10):
        slow.step()
    toy.serve(folder, stable=3)
    for _ in range(12):
        slow.step()
    refusal = "Request to assign label to version 3 of model demo, which is not currently available for inference"
    assert told[2:] == [refusal] and slow.version(spec(label="stable")).number == 1
    assert [status.state for status in slow.status(spec()).model_version_status] == [30, 30, 20]  # 3 is LOADING
    for _ in range(20):
        slow.step()
    assert told[3:] == ["version 3 is served", "version 1 is no longer served", "version 2 is no longer served"]
    assert slow.version(spec(label="stable")).number == 3


def test_a_file_for_another_model_changes_nothing(endpoint, folder, told):
    write_models_config(folder, ServedModel("other", "/elsewhere", {"stable": 3}))
    endpoint.refresh()
    assert told[2:] == [f"{folder}/models.config names the model other, but demo is served: restart the server."]
    assert endpoint.version(spec()).number == 2


def test_nothing_to_serve_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="has no version that can be served"):
        Endpoint(tmp_path)
