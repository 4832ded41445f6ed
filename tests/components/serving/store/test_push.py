"""A pushed version is whole, has a higher number than those before it, holds new weights, and is labelled."""

import errno
import fcntl
import shutil

import pytest
import tensorflow as tf

import components.serving.store.label_moves
import components.serving.store.push
from components.base.errors import InputError
from components.serving.store.model_digest import DIGEST_FILE, model_digest, read_digest, write_digest
from components.serving.store.models_config import ServedModel, read_models_config
from components.serving.store.push import Pushed, RolledBack, StableMoved, push
from components.serving.store.rollback_and_promote import promote, rollback
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


@pytest.fixture
def digested(monkeypatch):
    """The folders whose weights were read."""
    folders = []

    def digest(folder):
        folders.append(folder)
        return model_digest(folder)

    monkeypatch.setattr(components.serving.store.push, "model_digest", digest)
    return folders


def test_a_version_is_the_model_with_its_warm_up_requests_signatures_and_digest(models, base, tmp_path):
    (tmp_path / "requests").write_bytes(b"warm")
    version, unchanged = push(models[0], base, warm_up=tmp_path / "requests")
    assert not unchanged and served_versions(base) == [version]
    found = content(base / str(version))
    assert found.pop("assets.extra/tf_serving_warmup_requests") == b"warm"
    assert "| `x` | input | float32 | (B) |" in found.pop("signatures.md").decode()
    assert found.pop("model_digest").decode() == f"din-model-digest-1 {model_digest(models[0])}\n"
    assert found == content(models[0])
    assert tf.saved_model.load(str(base / str(version))).signatures["serving_default"](tf.constant([3.0]))["y"].numpy() == [0.0]
    assert sorted(path.name for path in base.iterdir()) == [".lock", ".push.lock", str(version), "models.config", "served"]


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


def test_weights_that_were_rolled_back_are_refused_with_the_way_to_serve_them_again(models, base):
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


def test_the_weights_of_kept_versions_are_not_read_again(models, base, digested):
    for number in (0, 1, 2):
        push(models[number], base)
    digested.clear()
    push(models[3], base)
    assert digested == [models[3]]


def test_equal_weights_are_confirmed_by_reading_them(models, base, digested):
    first = push(models[0], base).version
    push(models[1], base)
    digested.clear()
    assert push(models[0], base) == Pushed(first, unchanged=False)
    assert digested == [models[0], base / str(first)]


def test_versions_of_an_older_workspace_are_read_once(models, base, digested):
    for number in (0, 1):
        shutil.copytree(models[number], base / str(number))
    assert push(models[0], base).version == 0
    assert digested == [models[0], base / "1", base / "0"]
    assert [read_digest(base / str(number)) for number in (0, 1)] == [model_digest(models[number]) for number in (0, 1)]
    digested.clear()
    push(models[2], base)
    assert digested == [models[2]]


def test_a_digest_that_cannot_be_recorded_is_no_failure(models, base, monkeypatch):
    shutil.copytree(models[0], base / "7")

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(components.serving.store.push, "write_digest", refuse)
    assert push(models[0], base) == Pushed(7, unchanged=True)


@pytest.mark.parametrize("record", ["", "0" * 64, "din-model-digest-0 {}\n", "din-model-digest-1 {}", "din-model-digest-1 {}\n\n", "\xff"])
def test_a_damaged_digest_is_computed_again(models, base, record):
    first = push(models[0], base).version
    file = base / str(first) / DIGEST_FILE
    whole = file.read_text()
    file.write_text(record.format(model_digest(models[1])), encoding="latin-1")
    assert read_digest(base / str(first)) is None
    assert push(models[0], base) == Pushed(first, unchanged=True)
    assert file.read_text() == whole


def test_a_digest_of_other_weights_makes_no_version_equal(models, base):
    first = push(models[0], base).version
    write_digest(base / str(first), model_digest(models[1]))
    second, unchanged = push(models[1], base)
    assert second > first and not unchanged
    assert read_digest(base / str(first)) == model_digest(models[0])


@pytest.mark.parametrize("change", [promote, rollback])
def test_a_stable_version_that_moved_during_the_run_refuses_the_push(models, base, change):
    stable = push(models[0], base).version
    if change is promote:
        now = push(models[1], base, push_to="canary").version
    else:
        now, stable = stable, push(models[1], base).version
    change(base)
    before = content(base)
    with pytest.raises(StableMoved) as raised:
        push(models[2], base, replaces=stable)
    assert str(raised.value) == (
        f"version {stable} of demo was stable when the run started, but version {now} is stable now, so the model was never compared with "
        "what it would replace: start the run again."
    )
    assert content(base) == before
    assert push(models[2], base, replaces=now).version > now


def test_no_stable_version_at_the_start_is_a_baseline_too(models, base):
    first = push(models[0], base, replaces=None).version
    before = content(base)
    with pytest.raises(StableMoved, match=f"no version of demo was stable when the run started, but version {first} is stable now"):
        push(models[1], base, replaces=None)
    assert content(base) == before


def test_a_stable_version_that_is_gone_refuses_the_push(models, base):
    with pytest.raises(StableMoved, match="version 7 of demo was stable when the run started, but no version is stable now"):
        push(models[0], base, replaces=7)
    assert served_versions(base) == []


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


def test_what_was_rolled_back_takes_no_room_from_good_versions(models, base):
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


def test_a_damaged_version_does_not_prevent_a_push(models, base, caplog):
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
    assert sorted(path.name for path in base.iterdir()) == [".lock", ".push.lock"]


def test_a_models_config_that_cannot_be_read_is_not_overwritten(models, base):
    push(models[0], base)
    (base / "models.config").write_text("mine")
    with pytest.raises(InputError, match="correct it, or delete it"):
        push(models[1], base)
    assert (base / "models.config").read_text() == "mine" and len(served_versions(base)) == 1


def test_a_version_without_labels_and_without_models_config_is_served_already(models, base):
    """Older releases wrote no `models.config`."""
    shutil.copytree(models[0], base / "7")
    assert push(models[0], base) == Pushed(7, unchanged=True)
    assert labels(base) == (7, 7)


def test_a_push_excludes_other_pushes_from_the_copy_on_and_a_rollback_only_while_it_writes_the_labels(models, base, monkeypatch):
    push(models[0], base)
    held = []

    def is_held(name):
        with open(base / name) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def watch(module, name):
        inner = getattr(module, name)

        def watched(*args, **kwargs):
            held.append((name, is_held(".push.lock"), is_held(".lock")))
            return inner(*args, **kwargs)

        monkeypatch.setattr(module, name, watched)

    for name in ("model_digest", "describe_signatures"):
        watch(components.serving.store.push, name)
    watch(components.serving.store.label_moves, "write_models_config")
    push(models[1], base)
    assert held == [("model_digest", False, False), ("describe_signatures", True, False), ("write_models_config", True, True)]
    assert not is_held(".push.lock") and not is_held(".lock")


def test_the_canary_of_a_version_that_was_rolled_back_is_refused_too(models, base):
    push(models[0], base)
    second = push(models[1], base, push_to="canary").version
    write_rolled_back(base, {second})
    with pytest.raises(RolledBack):
        push(models[1], base, push_to="canary")
