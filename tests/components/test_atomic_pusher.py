"""The executor: blessings and settings decide the push, and the artifact has its result."""

import json

import pytest
from google.protobuf import json_format
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
from tfx.utils import json_utils, path_utils
from tfx.version import __version__ as tfx_version

from components.atomic_pusher import NOT_CHECKED_KEY, NOT_PUBLISHED_KEY, REFUSED_KEY, SETTINGS_KEY, UNCHANGED_KEY, Executor
from components.serving.store.models_config import read_models_config
from components.serving.store.rollback_and_promote import promote, rollback
from components.serving.store.versions import pushed_by, served_versions
from tests.components.serving.saved_models import content, save_model


class Node:
    """The inputs of a Pusher, and what it is run with."""

    def __init__(self, folder):
        self.folder, self.base = folder, folder / "serving" / "demo"
        self.blessing, self.infra = standard_artifacts.ModelBlessing(), standard_artifacts.InfraBlessing()
        self.infra.uri = str(folder / "infra")
        for blessing in (self.blessing, self.infra):
            blessing.set_int_custom_property("blessed", 1)

    def run(self, weight, **settings):
        model = standard_artifacts.Model()
        model.uri = str(self.folder / f"model{weight}")
        model.set_string_custom_property("tfx_version", tfx_version)
        save_model(self.folder / path_utils.serving_model_dir(model.uri), weight)
        pushed = standard_artifacts.PushedModel()
        destination = pusher_pb2.PushDestination.Filesystem(base_directory=str(self.base))
        exec_properties = {
            "push_destination": json_format.MessageToJson(pusher_pb2.PushDestination(filesystem=destination)),
            "custom_config": json_utils.dumps({"run_id": "run", SETTINGS_KEY: json.dumps(settings)} if settings else None),
        }
        inputs = {"model": [model], "model_blessing": [self.blessing], "infra_blessing": [self.infra]}
        Executor().Do(inputs, {"pushed_model": [pushed]}, exec_properties)
        return pushed


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


def test_a_blessed_model_is_pushed(node):
    pushed = node.run(1)
    (version,) = served_versions(node.base)
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_version") == str(version)
    assert pushed.get_string_custom_property("pushed_destination") == str(node.base / str(version))
    assert pushed.get_int_custom_property(UNCHANGED_KEY) == 0
    assert not (node.base / str(version) / "assets.extra").exists()  # the gate left no requests
    assert pushed_by(node.base, "run") is None  # no custom_config named the run


def test_the_version_says_which_run_pushed_it(node):
    """So a run that is killed after its push keeps what it pushed (case 21)."""
    version = int(node.run(1, keep=5).get_string_custom_property("pushed_version"))
    assert pushed_by(node.base, "run") == version
    assert pushed_by(node.base, "another") is None


def test_the_gate_s_requests_warm_the_version_up(node, tmp_path):
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "tf_serving_warmup_requests").write_bytes(b"warm")
    node.run(1)
    (version,) = served_versions(node.base)
    assert (node.base / str(version) / "assets.extra" / "tf_serving_warmup_requests").read_bytes() == b"warm"


@pytest.mark.parametrize("which", ["blessing", "infra"])
def test_an_unblessed_model_is_not_pushed(node, which):
    getattr(node, which).set_int_custom_property("blessed", 0)
    pushed = node.run(1)
    assert pushed.get_int_custom_property("pushed") == 0 and not node.base.exists()


def test_served_weights_are_unchanged(node):
    first = node.run(1)
    again = node.run(1)
    assert again.get_int_custom_property("pushed") == 1 and again.get_int_custom_property(UNCHANGED_KEY) == 1
    assert again.get_string_custom_property("pushed_version") == first.get_string_custom_property("pushed_version")


def test_settings_are_the_push_s(node):
    first = int(node.run(1).get_string_custom_property("pushed_version"))
    canary = int(node.run(2, push_to="canary", keep=1, base_path="/models/demo", pinned=[]).get_string_custom_property("pushed_version"))
    served = read_models_config(node.base)
    assert (served.labels, served.base_path) == ({"stable": first, "canary": canary}, "/models/demo")


def test_weights_that_were_rolled_back_are_refused_with_the_reason(node):
    node.run(1)
    bad = node.run(2).get_string_custom_property("pushed_version")
    rollback(node.base)
    pushed = node.run(2)
    assert pushed.get_int_custom_property("pushed") == 0
    assert pushed.get_string_custom_property(REFUSED_KEY).startswith(f"these very weights are version {bad}, which was rolled back")


@pytest.mark.parametrize("change", [promote, rollback])
def test_a_stable_version_that_moved_during_the_run_refuses_the_push_with_the_reason(node, change):
    versions = [int(node.run(weight, push_to="canary").get_string_custom_property("pushed_version")) for weight in (1, 2)]
    promote(node.base)
    canary = int(node.run(3, push_to="canary").get_string_custom_property("pushed_version"))
    stable, now = (versions[1], canary) if change is promote else (versions[1], versions[0])
    if change is rollback:
        rollback(node.base)  # which only withdraws the canary
    change(node.base)
    before = content(node.base)
    pushed = node.run(4, replaces=stable)
    assert pushed.get_int_custom_property("pushed") == 0
    assert pushed.get_string_custom_property(REFUSED_KEY) == (
        f"version {stable} of demo was stable when the run started, but version {now} is stable now, so the model was never compared with "
        "what it would replace: start the run again."
    )
    assert content(node.base) == before
    assert node.run(4, replaces=now).get_int_custom_property("pushed") == 1


def test_no_stable_version_is_null_in_the_settings(node):
    assert node.run(1, replaces=None).get_int_custom_property("pushed") == 1
    pushed = node.run(2, replaces=None)
    assert pushed.get_int_custom_property("pushed") == 0
    assert pushed.get_string_custom_property(REFUSED_KEY).startswith("no version of demo was stable when the run started")


def test_a_server_that_cannot_be_reached_refuses_the_push_with_the_reason(node):
    named = {"servers": ["grpc://127.0.0.1:9"], "wait_seconds": 1, "poll_seconds": 5}
    first = node.run(1, **named)  # no server can run yet
    version = first.get_string_custom_property("pushed_version")
    assert first.get_string_custom_property(NOT_CHECKED_KEY) == (
        f"Version {version} is the first of demo, so no server was asked: din status asks them once they run."
    )
    before = content(node.base)
    refused = node.run(2, **named)
    assert refused.get_int_custom_property("pushed") == 0
    assert refused.get_string_custom_property(REFUSED_KEY).startswith(
        "grpc://127.0.0.1:9 in serving.servers cannot be reached (UNAVAILABLE: "
    )
    assert content(node.base) == before


def test_what_no_server_was_asked_is_said(node):
    versions = [node.run(1).get_string_custom_property("pushed_version")]
    pushed = node.run(2, poll_seconds=5)
    versions.append(pushed.get_string_custom_property("pushed_version"))
    assert pushed.get_string_custom_property(NOT_CHECKED_KEY) == (
        f"No server was asked whether it can load version {versions[1]} of demo, because serving.servers names none. Each server moves "
        f"its labels when it has loaded the version, and loads {versions[0]} and {versions[1]} until the next push."
    )
    assert node.run(3).get_string_custom_property(NOT_CHECKED_KEY) == ""  # nothing reads the folder


def test_what_is_pushed_is_published_to_the_store(node, tmp_path):
    pushed = node.run(1, store=f"file://{tmp_path}/store/demo")
    assert pushed.get_string_custom_property(NOT_PUBLISHED_KEY) == ""
    assert (tmp_path / "store" / "demo" / "models.config").read_bytes() == (node.base / "models.config").read_bytes()


def test_a_push_stands_where_the_store_cannot_be_written_and_the_reason_is_said(node, tmp_path):
    (tmp_path / "store").write_text("a file where the folder must be")
    pushed = node.run(1, store=f"file://{tmp_path}/store/demo")
    assert pushed.get_int_custom_property("pushed") == 1 and served_versions(node.base) != []
    sentence = pushed.get_string_custom_property(NOT_PUBLISHED_KEY)
    assert sentence.startswith(f"file://{tmp_path}/store/demo does not have what {node.base} serves, because it could not be written (")
    assert sentence.endswith("): din publish --name demo repeats it.")
    (tmp_path / "store").unlink()
    assert node.run(1, store=f"file://{tmp_path}/store/demo").get_string_custom_property(NOT_PUBLISHED_KEY) == ""
    assert (tmp_path / "store" / "demo" / "models.config").exists()  # the push of the same weights published them
