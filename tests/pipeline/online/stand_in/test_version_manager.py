"""The stand-in's versions and labels, step by step on a clock of the test: what TF Serving's sources say it does."""

import math

import pytest
from grpc import StatusCode
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from pipeline.online.stand_in.status_error import StatusError
from pipeline.online.stand_in.version_manager import Behaviour, Config, VersionManager


class Server:
    """A manager whose folder has versions 1 to 9, which serves 1 as stable."""

    def __init__(self, **behaviour):
        self.time, self.there, self.said = 0.0, set(range(1, 10)), []
        self.manager = VersionManager("demo", str, lambda folder: self.there, Behaviour(**behaviour), self.said.append)
        self.manager.reload(Config({"stable": 1}, frozenset({1})))
        self.manager.look()
        self.manager.manage(math.inf)

    def ask(self, *versions, **labels):
        self.manager.reload(Config(labels, frozenset({*versions, *labels.values()})))

    def wait(self, seconds):
        for _ in range(seconds):
            self.time += 1
            self.manager.look()
            self.manager.manage(self.time)

    @property
    def loaded(self):
        return sorted(self.manager.served.versions)

    def state(self, number):
        return ModelVersionStatus.State.Name(self.manager.served.states[number].state)


def test_a_file_that_moves_a_label_to_a_version_that_is_not_available_is_refused_whole():
    server = Server(load_seconds=25)
    with pytest.raises(StatusError) as raised:
        server.ask(stable=2, canary=3)
    assert raised.value.code == StatusCode.FAILED_PRECONDITION
    assert raised.value.message == "Request to assign label to version 2 of model demo, which is not currently available for inference"
    server.wait(60)
    assert server.loaded == [1] and server.manager.served.labels == {"stable": 1}  # version 2 is not loaded, however long one waits


def test_versions_named_without_a_label_are_loaded_and_then_labels_may_move():
    server = Server(load_seconds=25)
    server.ask(2, stable=1)
    server.wait(25)
    assert (server.loaded, server.state(2)) == ([1], "LOADING")
    with pytest.raises(StatusError):
        server.ask(stable=2)
    server.wait(1)
    assert (server.loaded, server.state(2)) == ([1, 2], "AVAILABLE")
    server.ask(stable=2)
    server.wait(1)
    assert (server.loaded, server.state(1)) == ([2], "END")


def test_a_new_label_may_name_a_version_that_is_not_available():
    server = Server(load_seconds=5)
    server.ask(stable=1, canary=2)
    assert server.manager.served.labels == {"stable": 1, "canary": 2} and server.loaded == [1]
    server.ask(stable=1, canary=2)  # the same again, as a poll does it
    server.wait(6)
    assert server.loaded == [1, 2]


def test_a_failing_load_is_tried_again_and_blocks_all_others():
    server = Server(load_seconds=1, failing={3: 2}, load_retries=5, retry_seconds=60)
    server.ask(2, 3, stable=1)  # the highest version is loaded first
    server.wait(121)
    assert (server.loaded, server.state(3), server.state(2)) == ([1], "LOADING", "START")
    server.wait(3)
    assert server.loaded == [1, 2, 3]


def test_a_load_that_fails_for_good_ends_with_its_error_and_is_tried_again_only_after_it_was_unwanted():
    server = Server(failing={2: 6}, load_retries=5, retry_seconds=60)
    server.ask(2, stable=1)
    server.wait(300)
    assert server.state(2) == "LOADING"
    server.wait(2)
    status = server.manager.served.states[2]
    assert (server.state(2), status.status.error_code, status.status.error_message) == ("END", 2, "the load fails, as was asked for")
    assert server.said[-1] == "version 2 cannot be served: the load fails, as was asked for"
    server.wait(400)
    assert server.state(2) == "END"
    server.ask(stable=1)
    server.wait(1)
    server.ask(2, stable=1)
    server.wait(1)
    assert server.state(2) == "LOADING"


def test_the_last_loaded_version_stays_until_a_wanted_one_is_loaded():
    server = Server(load_seconds=10)
    server.manager.reload(Config({"stable": 1}, frozenset({2})))
    server.wait(10)
    assert server.loaded == [1]
    server.wait(2)
    assert server.loaded == [2] and server.manager.served.labels == {"stable": 1}  # the label now names a version that is not loaded


def test_a_version_that_is_wanted_again_while_it_stays_loaded_blocks_the_manager():
    server = Server(failing={2: math.inf})
    server.manager.reload(Config({"stable": 1}, frozenset({2})))
    server.wait(5)
    server.ask(3, stable=1)
    server.wait(50)
    assert server.loaded == [1] and 3 not in server.manager.served.states  # AspiredVersionsManager::ContainsAnyReaspiredVersions


def test_a_deleted_folder_is_unloaded_at_the_next_look():
    server = Server()
    server.ask(2, stable=1)
    server.wait(1)
    server.there.remove(1)
    server.wait(1)
    assert server.loaded == [2] and server.manager.served.labels == {"stable": 1}
    server.there.remove(2)
    server.wait(1)
    assert server.loaded == []


def test_all_versions_that_are_there_can_be_asked_for():
    server = Server()
    server.there -= set(range(3, 9))
    server.manager.reload(Config({"stable": 1}))
    server.wait(1)
    assert server.loaded == [1, 2, 9]
    server.there.remove(9)
    server.wait(1)
    assert server.loaded == [1, 2]
