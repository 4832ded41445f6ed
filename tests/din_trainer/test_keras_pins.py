"""Each pin against the installed Keras: what fails here after an upgrade must be fixed in `din_trainer/keras_pins.py` or in LazyAdam."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras.src.saving import saving_lib

from din_trainer import keras_pins
from din_trainer.training.lazy_adam import LazyAdam


def test_adam_keeps_two_moments_of_each_variable():
    """After one step from zero they are (1 − β₁) g and (1 − β₂) g²."""
    first, second = keras.Variable(np.zeros((2, 3)), dtype="float32"), keras.Variable(np.zeros(4), dtype="float32")
    adam = keras.optimizers.Adam(0.1, beta_1=0.9, beta_2=0.99)
    gradients = [np.full((2, 3), 2.0, np.float32), np.full(4, 3.0, np.float32)]
    adam.apply([tf.constant(gradient) for gradient in gradients], [first, second])
    for variable, gradient in zip((first, second), gradients, strict=True):
        m, v = keras_pins.adam_moments(adam, variable)
        np.testing.assert_allclose(m, 0.1 * gradient, rtol=1e-5)
        np.testing.assert_allclose(v, 0.01 * gradient**2, rtol=1e-5)


def test_keras_calls_the_overridden_clip_gradients():
    calls = []

    class Spy(LazyAdam):
        def _clip_gradients(self, grads):
            calls.append(grads)
            return super()._clip_gradients(grads)

    variable, gradient = keras.Variable(np.zeros(2), dtype="float32"), tf.constant([3.0, 4.0])
    Spy(0.1, global_clipnorm=1.0).apply([gradient], [variable])
    (seen,) = calls
    np.testing.assert_array_equal(seen, [gradient])


def test_a_model_is_saved_by_a_temporary_file_beside_it(tmp_path, monkeypatch):
    """Otherwise its bytes are held in memory. The saved model is complete, and no other file is left."""
    files = []
    make = saving_lib.tempfile.NamedTemporaryFile
    monkeypatch.setattr(saving_lib.tempfile, "NamedTemporaryFile", lambda dir: files.append(make(dir=dir)) or files[-1])
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    with keras_pins.saved_by_disk():
        model.save(tmp_path / "model.keras")
    assert [Path(file.name).parent for file in files] == [tmp_path]
    assert list(tmp_path.iterdir()) == [tmp_path / "model.keras"]
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras").layers[0].kernel, model.layers[0].kernel)
