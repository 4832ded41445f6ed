"""A SavedModel is loaded once, and again after it has changed."""

import os

import pytest
import tensorflow as tf

from components.base.saved_models import load_saved_model


def write(folder, value):
    module = tf.Module()
    module.number = tf.Variable(value)
    tf.saved_model.save(module, str(folder))


def test_a_model_is_loaded_once_and_again_when_another_takes_its_place(tmp_path):
    write(tmp_path / "model", 1.0)
    os.utime(tmp_path / "model" / "saved_model.pb", ns=(0, 1))
    first = load_saved_model(tmp_path / "model")
    assert load_saved_model(str(tmp_path / "model")) is first and float(first.number) == 1
    write(tmp_path / "model", 2.0)
    assert float(load_saved_model(tmp_path / "model").number) == 2


def test_a_folder_without_a_model_is_tensorflow_s_error(tmp_path):
    with pytest.raises(OSError, match="SavedModel file does not exist"):
        load_saved_model(tmp_path)
