"""A version is whole or not there, grows, is never pushed twice, and is labelled."""

import errno
import fcntl
import shutil

import pytest
import tensorflow as tf

import components.serving.store.push
from components.base.errors import InputError
from components.serving.store.models_config import ServedModel, read_models_config
from components.serving.store.push import Pushed, RolledBack, push
from components.serving.store.rollback_and_promote import rollback
from components.serving.store.versions import served_versions, write_rolled_back
from tests.components.serving.saved_models import content, save_model


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Four SavedModels of different weights."""
    folder = tmp_path_factory.mktemp("models")
    return [save_model(folder / f"model{weight}", weight) for weight in range(4)]


@pytest.fixture
def base(tmp_path):
    return tmp_path / "serving" / "demo"


def labels(base):
    served = read_models_config(base)
    return served.labels["stable"], served.labels["canary"]


def test_a_version_is_the_model_with_its_warm_up_requests_and_signatures(models, base, tmp_path):
    (tmp_path / "requests").write_bytes(b"warm")
    version, unchanged = push(models[0], base, warm_up=tmp_path / "requests")
    assert not unchanged and served_versions(base) == [version]
    found = content(base / str(version))
    assert found.pop("assets.extra/tf_serving_warmup_requests") == b"warm"
    assert "| `x` | input | float32 | (B) |" in found.pop("signatures.md").decode()
    assert found == content(models[0])
    assert tf.saved_model.load(str(base / str(version))).signatures["serving_default"](tf.constant([3.0]))["y"].numpy() == [0.0]
    assert sorted(path.name for path in base.iterdir()) == [".lock", str(version), "models.config"]


def test_both_labels_name_a_pushed_version(models, base):
    first = push(models[0], base).version
    assert read_models_config(base) == ServedModel("demo", str(base), {"canary": first, "stable": first})
    second = push(models[1], base).version
    assert second > first and labels(base) == (second, second)


def test_a_canary_leaves_stable_where_it_is_unless_it_is_the_first(models, base):
    first = push(models[0], base, push_to="canary").version
    assert labels(base) == (first, first)
    second = push(models[1], base, push_to="canary").version
    assert labels(base) == (first, second)
    third = push(models[2], base, push_to="canary").version
    assert labels(base) == (first, third)


def test_tf_serving_may_see_the_folder_elsewhere(models, base):
    push(models[0], base, base_path="gs://bucket/demo")
    assert read_models_config(base).base_path == "gs://bucket/demo"
    push(models[0], base)
    assert read_models_config(base).base_path == str(base)


def test_served_weights_are_not_pushed_again(models, base, tmp_path):
    first = push(models[0], base).version
    again = save_model(tmp_path / "again", 0)
    assert push(again, base) == Pushed(first, unchanged=True)
    assert served_versions(base) == [first] and labels(base) == (first, first)


def test_weights_that_are_the_canary_s_become_stable_by_a_stable_push(models, base):
    first = push(models[0], base).version
    second = push(models[1], base, push_to="canary").version
    assert push(models[1], base) == Pushed(second, unchanged=True)
    assert labels(base) == (second, second)
    assert served_versions(base) == [first, second]


def test_the_labels_move_back_to_superseded_weights(models, base):
    first = push(models[0], base).version
    second = push(models[1], base).version
    assert push(models[0], base) == Pushed(first, unchanged=False)
    assert labels(base) == (first, first) and served_versions(base) == [first, second]


def test_weights_that_were_rolled_back_are_refused_and_told_how_to_come_back(models, base):
    first = push(models[0], base).version
    second = push(models[1], base).version
    rollback(base)
    with pytest.raises(RolledBack) as raised:
        push(models[1], base)
    assert str(raised.value) == (
        f"these very weights are version {second}, which was rolled back: din rollback --name demo --to {second} serves it again."
    )
    assert labels(base) == (first, first) and served_versions(base) == [first, second]
    rollback(base, second)
    assert push(models[1], base) == Pushed(second, unchanged=True)


def test_versions_always_grow(models, base):
    future = 99_999_999_999
    shutil.copytree(models[0], base / str(future))
    assert push(models[1], base).version == future + 1
    assert served_versions(base) == [future, future + 1]


def test_the_newest_versions_stay_and_those_that_are_needed(models, base):
    versions = [push(models[number], base).version for number in (0, 1, 2)]
    newest = push(models[3], base, keep=2).version
    assert served_versions(base) == [versions[2], newest]

    rollback(base)
    push(models[1], base, keep=1, push_to="canary", pinned=[newest])
    stable, canary = labels(base)
    assert stable == versions[2] and served_versions(base) == [stable, newest, canary]
    push(models[1], base, keep=1, push_to="canary")
    assert served_versions(base) == [stable, newest, canary]  # the newest that was rolled back is known by its weights


def test_what_was_rolled_back_takes_no_room_from_sound_versions(models, base):
    first, bad = (push(models[number], base, keep=2).version for number in (0, 1))
    rollback(base)
    third = push(models[2], base, keep=2).version
    assert served_versions(base) == [first, bad, third]
    assert rollback(base).labels["stable"] == first


def test_weights_of_a_version_that_was_removed_are_new(models, base):
    first = push(models[0], base).version
    push(models[1], base, keep=1)
    version, unchanged = push(models[0], base, keep=1)
    assert version > first and not unchanged


def test_a_damaged_version_does_not_stand_in_the_way(models, base, caplog):
    first = push(models[0], base).version
    shutil.rmtree(base / str(first) / "variables")
    second = push(models[0], base).version
    assert second > first and labels(base) == (second, second)
    assert f"{base / str(first)} cannot be read" in caplog.text


def test_a_full_disk_leaves_no_version(models, base, monkeypatch):
    def copy_half(source, target):
        target.mkdir()
        shutil.copy(source / "saved_model.pb", target)
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(components.serving.store.push.shutil, "copytree", copy_half)
    with pytest.raises(OSError, match="No space left"):
        push(models[0], base)
    assert [path.name for path in base.iterdir()] == [".lock"]


def test_a_models_config_that_cannot_be_read_is_not_overwritten(models, base):
    push(models[0], base)
    (base / "models.config").write_text("mine")
    with pytest.raises(InputError, match="mend it, or delete it"):
        push(models[1], base)
    assert (base / "models.config").read_text() == "mine" and len(served_versions(base)) == 1


def test_a_version_without_labels_and_without_models_config_is_served_already(models, base):
    """So pushed versions were left before there was a `models.config`."""
    shutil.copytree(models[0], base / "7")
    assert push(models[0], base) == Pushed(7, unchanged=True)
    assert labels(base) == (7, 7)


def test_a_push_excludes_others(models, base, monkeypatch):
    inner = components.serving.store.push.model_digest
    held = []

    def digest(model):
        with open(base / ".lock") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held.append(model)
        return inner(model)

    monkeypatch.setattr(components.serving.store.push, "model_digest", digest)
    push(models[0], base)
    assert held == [models[0]]
    with open(base / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_canary_of_a_version_that_was_rolled_back_is_refused_too(models, base):
    push(models[0], base)
    second = push(models[1], base, push_to="canary").version
    write_rolled_back(base, {second})
    with pytest.raises(RolledBack):
        push(models[1], base, push_to="canary")
