"""What a workspace serves comes into a store so that a server that follows it there never sees a version that it cannot load."""

import fcntl
import json
import time
from itertools import product
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from moto.s3.models import s3_backends

import components.serving.store.push as pushing
from components.base.errors import InputError
from components.base.stores import named_path
from components.serving.servers.asked_server import AVAILABLE, VersionState
from components.serving.servers.status import serving_status
from components.serving.servers.waiting import NotServed, Servers
from components.serving.store import publication, versions
from components.serving.store.models_config import link_folder, read_models_config
from components.serving.store.publication import NotPublished, check_writable, publish, unpublished
from components.serving.store.push import push
from components.serving.store.rollback_and_promote import promote, rollback
from components.serving.store.versions import read_store
from tests.components.serving import killing
from tests.components.serving.saved_models import content


@pytest.fixture(autouse=True)
def without_tensorflow(monkeypatch):
    monkeypatch.setattr(pushing, "model_digest", killing.weights)
    monkeypatch.setattr(pushing, "describe_signatures", lambda model, name: f"signatures of {name}\n")


@pytest.fixture(params=["s3", "file"])
def store(request, tmp_path):
    """The URL of an empty folder in a store that cannot rename, and in one that can."""
    return f"file://{tmp_path}/store/demo" if request.param == "file" else f"{request.getfixturevalue('bucket')}serving/demo"


@pytest.fixture(params=["memory", "file"])
def quick_store(request, tmp_path):
    """The same, but the objects are in this process, since there are hundreds of writes."""
    if request.param == "file":
        return f"file://{tmp_path}/store/demo"
    MemoryFileSystem.store.clear()
    return "memory://store/demo"


@pytest.fixture
def base(tmp_path):
    return tmp_path / "serving" / "demo"


def model(folder: Path, weights: int) -> Path:
    place = folder / f"model{weights}"
    for name, text in {"variables/weights": f"weights {weights}", "saved_model.pb": "graph"}.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


def stored(url: str) -> dict[str, bytes]:
    """Everything in a store, by its path in the folder."""
    place = named_path(url)
    if url.startswith("memory:"):
        files = {name.removeprefix(f"{place.path}/"): file.getvalue() for name, file in MemoryFileSystem.store.items()}
        return {name: data for name, data in files.items() if not name.startswith("/")}
    if url.startswith("file:"):
        return content(Path(place.path)) if Path(place.path).exists() else {}
    bucket, _, folder = place.path.partition("/")
    backend = next(backend for account in s3_backends.values() for backend in account.values() if bucket in backend.buckets)
    keys = dict(backend.buckets[bucket].keys)  # moto keeps the versions of each object
    return {name.removeprefix(f"{folder}/"): found[-1].value for name, found in keys.items() if name.startswith(f"{folder}/") and found}


def versions_in(found: dict[str, bytes], number: int) -> dict[int, dict[str, bytes]]:
    """The files of each version in a folder of the store."""
    versions: dict[int, dict[str, bytes]] = {}
    for name, data in found.items():
        if name.startswith(f"served/{number}/"):
            _, _, version, rest = name.split("/", 3)
            versions.setdefault(int(version), {})[rest] = data
    return versions


def named(config: bytes) -> tuple[int, set[int]]:
    """The folder and the labelled versions of a `models.config`."""
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    (found,) = text_format.Parse(config, ModelServerConfig()).model_config_list.config
    return int(found.base_path.rpartition("/")[2]), set(found.version_labels.values())


def whole(base: Path, version: int) -> dict[str, bytes]:
    return {name: data for name, data in content(base / str(version)).items() if name != "not_loaded"}


def assert_published(base, url, now=None, cleared=True):
    """The store has what the workspace links to, whole, and nothing that is half there."""
    found, served = stored(url), read_models_config(base)
    assert found["models.config"] == (base / "models.config").read_bytes()
    newest = versions_in(found, link_folder(base))
    assert set(served.labels.values()) <= set(newest)
    for number in {int(name.split("/")[1]) for name in found if name.startswith("served/")}:
        for version, files in versions_in(found, number).items():
            assert files == whole(base, version)
    assert not cleared or not [name for name in found if name.startswith(".publishing")]
    assert unpublished(base, now or time.time()) == []


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


def test_runs_that_check_a_store_at_the_same_time_do_not_disturb_each_other(tmp_path, monkeypatch):
    """The second check takes place between the write and the deletion of the first."""
    delete = publication._Store.delete

    def checked_meanwhile(self, name):
        monkeypatch.setattr(publication._Store, "delete", delete)
        check_writable(f"file://{tmp_path}/store")
        delete(self, name)

    monkeypatch.setattr(publication._Store, "delete", checked_meanwhile)
    check_writable(f"file://{tmp_path}/store")
    assert content(tmp_path / "store") == {}


def test_a_second_workspace_does_not_replace_what_the_first_one_serves(base, store, tmp_path):
    push(model(tmp_path, 1), base, store=store)
    publish(base, time.time())
    before, other = stored(store), tmp_path / "other" / "serving" / "demo"
    push(model(tmp_path, 2), other, store=store)
    with pytest.raises(NotPublished, match=r"\(another workspace publishes there: set another serving\.store, or delete the folder if"):
        publish(other, time.time())
    assert stored(store) == before
    publish(base, time.time())

    folder = named_path(store)
    folder.fs.rm(folder.path, recursive=True)
    publish(other, time.time())
    assert_published(other, store)
    with pytest.raises(NotPublished, match="another workspace publishes there"):
        publish(base, time.time())


@pytest.fixture
def no_wait(monkeypatch):
    """Whoever would wait for a lock ends with an error at once, so that one thread can play two processes."""
    flock = fcntl.flock
    monkeypatch.setattr(versions.fcntl, "flock", lambda lock, how: flock(lock, how | fcntl.LOCK_NB))


def test_a_rollback_does_not_wait_for_the_upload_of_another_version(base, store, tmp_path, monkeypatch, no_wait):
    """While a push uploads a version, somebody rolls back: the store gets that at once, and the push publishes the newest state."""
    first = push(model(tmp_path, 1), base, store=store).version
    publish(base, time.time())
    push(model(tmp_path, 2), base, store=store)
    publish(base, time.time())
    third = push(model(tmp_path, 3), base, store=store).version
    upload = publication._Store.upload

    def rolled_back_meanwhile(self, source):
        monkeypatch.setattr(publication._Store, "upload", upload)
        rollback(base, first)
        publish(base, time.time())
        assert_published(base, store)
        assert named(stored(store)["models.config"])[1] == {first}
        upload(self, source)

    monkeypatch.setattr(publication._Store, "upload", rolled_back_meanwhile)
    publish(base, time.time())
    assert publication._Store.upload is upload  # there was one
    assert named(stored(store)["models.config"])[1] == {first}
    assert third not in versions_in(stored(store), link_folder(base))
    assert_published(base, store)


def test_an_upload_deletes_nothing_that_another_process_writes(base, tmp_path, monkeypatch, no_wait):
    """While a rollback replaces models.config in a store that renames, a push uploads a version."""
    url = f"file://{tmp_path}/store/demo"
    first = push(model(tmp_path, 1), base, store=url).version
    publish(base, time.time())
    push(model(tmp_path, 2), base, store=url)
    publish(base, time.time())
    rollback(base, first)
    third, mv, config_before = [], LocalFileSystem.mv, stored(url)["models.config"]

    def uploaded_meanwhile(self, source, target, **named):
        if target.endswith("/models.config"):
            monkeypatch.setattr(LocalFileSystem, "mv", mv)
            third.append(push(model(tmp_path, 3), base, store=url).version)
            with pytest.raises(NotPublished, match="temporarily unavailable"):  # it waits for the rollback only after its upload
                publish(base, time.time())
            assert [name for name in stored(url) if name.startswith(f".publishing/upload/{third[0]}/")]
            assert stored(url)["models.config"] == config_before
        mv(self, source, target, **named)

    monkeypatch.setattr(LocalFileSystem, "mv", uploaded_meanwhile)
    publish(base, time.time())
    assert named(stored(url)["models.config"])[1] == {first}
    publish(base, time.time())
    assert named(stored(url)["models.config"])[1] == set(third)
    assert_published(base, url)


def test_a_version_that_another_process_deleted_from_the_store_is_uploaded_again(base, store, tmp_path, monkeypatch):
    """It was there when the publication looked what to upload."""
    push(model(tmp_path, 1), base, store=store)
    publish(base, time.time())
    absent = publication._Store.absent

    def nothing(self, wanted):
        monkeypatch.setattr(publication._Store, "absent", absent)
        return []

    monkeypatch.setattr(publication._Store, "absent", nothing)
    second = push(model(tmp_path, 2), base, store=store).version
    publish(base, time.time())
    assert named(stored(store)["models.config"])[1] == {second}
    assert_published(base, store)
