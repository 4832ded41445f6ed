"""Several processes and workspaces that publish into one store at the same time do not disturb each other."""

import fcntl
import time

import pytest
from fsspec.implementations.local import LocalFileSystem

from components.base.stores import named_path
from components.serving.store import publication, versions
from components.serving.store.models_config import link_folder
from components.serving.store.publication import NotPublished, check_writable, publish
from components.serving.store.push import push
from components.serving.store.rollback_and_promote import rollback
from tests.components.serving.saved_models import content
from tests.components.serving.store.published import assert_published, model, named, stored, versions_in

pytestmark = pytest.mark.usefixtures("without_tensorflow")


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
