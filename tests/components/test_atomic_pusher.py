"""A version is whole or not there, grows, and is never pushed twice."""

import errno
import shutil

import pytest
import tensorflow as tf

from components import atomic_pusher
from components.atomic_pusher import model_digest, push, served_versions


def save_model(folder, weight):
    module = tf.Module()
    module.weight = tf.Variable([float(weight)])
    asset = folder.parent / "vocabulary"
    asset.write_text("a\nb\n")
    module.asset = tf.saved_model.Asset(str(asset))
    call = tf.function(lambda x: {"y": x * module.weight}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    tf.saved_model.save(module, str(folder), signatures=call)
    return folder


@pytest.fixture
def model(tmp_path):
    return save_model(tmp_path / "model", 1)


def test_the_same_weights_are_not_pushed_twice(model, tmp_path):
    base = tmp_path / "serving" / "demo"
    version, new = push(model, base)
    assert new and served_versions(base) == [version]
    again = save_model(tmp_path / "again", 1)
    assert push(again, base) == (version, False)
    assert tf.saved_model.load(str(base / str(version))).signatures["serving_default"](tf.constant([3.0]))["y"].numpy() == [3.0]


def test_versions_always_grow(model, tmp_path):
    base = tmp_path / "serving"
    future = 99_999_999_999
    shutil.copytree(save_model(tmp_path / "other", 2), base / str(future))
    assert push(model, base) == (future + 1, True)
    assert served_versions(base) == [future, future + 1]


def test_digest_sees_weights_assets_and_signatures(model, tmp_path):
    digest = model_digest(model)
    assert model_digest(save_model(tmp_path / "same", 1)) == digest
    assert model_digest(save_model(tmp_path / "other", 2)) != digest
    next((model / "assets").iterdir()).write_text("a\nc\n")
    assert model_digest(model) != digest


def test_a_full_disk_leaves_no_version(model, tmp_path, monkeypatch):
    base = tmp_path / "serving"
    copied = []

    def copy_half(source, target):
        target.mkdir()
        shutil.copy(source / "saved_model.pb", target)
        copied.append(target)
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(atomic_pusher.shutil, "copytree", copy_half)
    with pytest.raises(OSError, match="No space left"):
        push(model, base)
    assert len(copied) == 1
    assert list(base.iterdir()) == []


def test_what_a_killed_push_left_is_cleared(model, tmp_path):
    base = tmp_path / "serving"
    (base / ".pushing-123" / "variables").mkdir(parents=True)
    version, _ = push(model, base)
    assert [path.name for path in base.iterdir()] == [str(version)]
