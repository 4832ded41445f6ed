"""What a workspace serves comes into a store so that a server that follows it there never sees a version that it cannot load."""

import json
import time
from itertools import product

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from components.base.errors import InputError
from components.serving.servers.asked_server import AVAILABLE, VersionState
from components.serving.servers.status import serving_status
from components.serving.servers.waiting import NotServed, Servers
from components.serving.store.models_config import link_folder, read_models_config
from components.serving.store.publication import NotPublished, check_writable, publish, unpublished
from components.serving.store.push import push
from components.serving.store.rollback_and_promote import promote, rollback
from components.serving.store.versions import read_store
from tests.components.serving.store.published import assert_published, model, named, stored, versions_in, whole

pytestmark = pytest.mark.usefixtures("without_tensorflow")


def test_a_push_a_promotion_and_a_rollback_are_published(base, store, tmp_path):
    first = push(model(tmp_path, 1), base, store=store).version
    assert read_store(base) == store and read_models_config(base).base_path == store
    assert unpublished(base, time.time()) == [f"version {first} in served/{link_folder(base)}", "the models.config of the workspace"]
    publish(base, time.time())
    assert_published(base, store)
    assert named(stored(store)["models.config"]) == (link_folder(base), {first})
    assert f'base_path: "{store}/served/{link_folder(base)}"' in stored(store)["models.config"].decode()

    second = push(model(tmp_path, 2), base, store=store, push_to="canary").version
    publish(base, time.time())
    assert_published(base, store)
    assert set(versions_in(stored(store), link_folder(base))) == {first, second}
    promote(base)
    publish(base, time.time())
    assert_published(base, store)
    assert named(stored(store)["models.config"])[1] == {second}
    rollback(base)
    publish(base, time.time())
    assert_published(base, store)
    assert set(versions_in(stored(store), link_folder(base))) == {first}
    before = stored(store)
    publish(base, time.time())
    assert stored(store) == before


def test_folders_of_long_ago_are_deleted_and_the_one_before_stays(base, store, tmp_path):
    for weights in range(3):
        push(model(tmp_path, weights), base, store=store)
        publish(base, time.time())
    assert len({name.split("/")[1] for name in stored(store) if name.startswith("served/")}) == 3  # all within ten minutes
    publish(base, time.time() + 3600)
    folders = sorted({int(name.split("/")[1]) for name in stored(store) if name.startswith("served/")})
    assert len(folders) == 2 and folders[-1] == link_folder(base)
    assert_published(base, store, time.time() + 3600)


def test_a_base_path_is_where_servers_see_the_store(base, store, tmp_path):
    push(model(tmp_path, 1), base, store=store, base_path="/mnt/demo")
    publish(base, time.time())
    assert f'base_path: "/mnt/demo/served/{link_folder(base)}"' in stored(store)["models.config"].decode()
    push(model(tmp_path, 2), base)  # a run without a store
    assert read_store(base) == "" and unpublished(base, time.time()) == []
    before = stored(store)
    publish(base, time.time())
    assert stored(store) == before


class Writes:
    """Watches each write of a store, and lets one of them fail.

    Attributes:
        count: How many writes there were.
        fails_at: The number of the write that fails; 0: none.
        wrong: What a server in the store could have seen and must not.
    """

    def __init__(self, base, url):
        self.base, self.url = base, url
        self.count, self.fails_at, self.wrong = 0, 0, []
        self.config = None

    def before(self):
        self.look()
        self.count += 1
        if self.count == self.fails_at:
            raise OSError("the store is gone")

    def look(self):
        found = stored(self.url)
        for number in {int(name.split("/")[1]) for name in found if name.startswith("served/")}:
            for version, files in versions_in(found, number).items():
                expected = whole(self.base, version)
                loadable = "saved_model.pb" in files or self.url.startswith("file:")
                if loadable and files != expected:
                    self.wrong.append(f"version {version} in {number} has only {sorted(files)}")
        config = found.get("models.config")
        if config is not None:
            number, labelled = named(config)
            if not labelled <= set(versions_in(found, number)):
                self.wrong.append(f"{labelled} of models.config are not in {number}")
            if self.config not in (None, config):  # who follows the file before finds the versions of the new labels
                old, _ = named(self.config)
                if not labelled <= set(versions_in(found, old)):
                    self.wrong.append(f"{labelled} of models.config are not in {old}")
        self.config = config


@pytest.fixture
def watched(monkeypatch):
    """Calls `Writes.before` of the list's only element before each write."""
    writes: list[Writes] = []

    def note():
        if writes:
            writes[0].before()

    for system, name in product((LocalFileSystem, MemoryFileSystem), ("put_file", "cp_file", "mv", "rm", "rm_file", "pipe_file")):
        original = getattr(system, name)

        def method(self, *arguments, _original=original, **named):
            note()
            return _original(self, *arguments, **named)

        monkeypatch.setattr(system, name, method)
    return writes


@pytest.mark.parametrize("change", ["push", "rollback"])
def test_a_publication_that_fails_at_any_write_is_repaired_by_the_next(base, quick_store, tmp_path, watched, change):
    """At no moment could a server load half of a version, or miss a version that the labels name."""
    later = time.time() + 3600  # so that folders of links are deleted from the store, too
    push(model(tmp_path, 0), base, store=quick_store)
    publish(base, later)
    number, failed = 0, True
    while failed:
        number, failed = number + 1, False
        push(model(tmp_path, number), base, store=quick_store)
        if change == "rollback":
            publish(base, later)
            rollback(base)
        writes = Writes(base, quick_store)
        writes.look()
        writes.fails_at = number
        watched[:] = [writes]
        try:
            publish(base, later)
        except NotPublished as error:
            failed = True
            assert str(error) == (
                f"{quick_store} does not have what {base} serves, because it could not be written (the store is gone): "
                "din publish --name demo repeats it."
            )
            writes.fails_at = 0
            publish(base, later)
        writes.look()
        watched.clear()
        assert writes.wrong == []
        assert_published(base, quick_store, later, cleared=False)
    assert number > (10 if change == "push" else 3)
    push(model(tmp_path, number + 1), base, store=quick_store)
    publish(base, later)
    assert_published(base, quick_store, later)  # what was left aside is gone


class Follower:
    """A server that follows the store alone: it loads what is whole in the folder of the file that it accepted last."""

    url = "grpc://follower:8500"

    def __init__(self, store):
        self._store = store
        self.config = stored(store)["models.config"]

    def states(self):
        found = stored(self._store)
        loaded = {version for version, files in versions_in(found, named(self.config)[0]).items() if "saved_model.pb" in files}
        if named(found["models.config"])[1] <= loaded:
            self.config = found["models.config"]
        return {version: VersionState(AVAILABLE) for version in loaded}

    def labelled(self, label):
        self.states()
        from google.protobuf import text_format
        from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

        return dict(text_format.Parse(self.config, ModelServerConfig()).model_config_list.config[0].version_labels)[label]


def test_servers_that_are_asked_follow_the_store_during_the_push(base, quick_store, tmp_path, watched):
    url = quick_store
    push(model(tmp_path, 1), base, store=url)
    publish(base, time.time())
    follower = Follower(url)
    servers = Servers([follower], poll_seconds=5)
    second = push(model(tmp_path, 2), base, store=url, servers=servers).version
    assert follower.labelled("stable") == second
    publish(base, time.time())
    assert_published(base, url)

    writes = Writes(base, url)
    writes.fails_at = 1
    watched[:] = [writes]
    with pytest.raises(NotServed, match=r"because it could not be written \(the store is gone\): the version was withdrawn,"):
        push(model(tmp_path, 3), base, store=url, servers=servers)
    watched.clear()
    assert read_models_config(base).labels == {"canary": second, "stable": second}
    assert follower.labelled("stable") == second


def test_status_says_what_the_store_lacks(base, bucket, tmp_path):
    url = f"{bucket}serving/demo"
    first = push(model(tmp_path, 1), base, store=url).version
    status = serving_status(base)
    lacks = [f"version {first} in served/{link_folder(base)}", "the models.config of the workspace"]
    assert f"  {url}: lacks {', '.join(lacks)}: din publish --name demo brings it" in status.lines()
    assert not status.is_as_expected and status.as_json()["store"] == {"url": url, "lacks": lacks}
    publish(base, time.time())
    status = serving_status(base)
    assert f"  {url}: has what is served" in status.lines()
    assert status.is_as_expected and json.loads(json.dumps(status.as_json()))["store"] == {"url": url, "lacks": []}


def test_a_store_that_cannot_be_written_is_found_before_a_run(bucket, monkeypatch):
    check_writable(f"{bucket}serving")
    assert list(bucket.iterdir()) == []
    with pytest.raises(InputError, match=r"^s3://no-such-bucket/serving is not there \(.*bucket.*\): look at the bucket"):
        check_writable("s3://no-such-bucket/serving")
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    with pytest.raises(InputError, match=r"^gs://b/serving cannot be opened \(.*\): gs:// needs pip install gcsfs\.$"):
        check_writable("gs://b/serving")
