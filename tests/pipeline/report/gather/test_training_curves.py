"""Training curves read from TensorBoard's logs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.report.gather.training_curves import read_training_curves


def test_what_keras_logs_in_one_fit_an_epoch(tmp_path):
    """Calls `fit` like `din_trainer.training.loop.train`, which makes a file for each epoch and part."""
    model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
    logs, history = keras.callbacks.TensorBoard(str(tmp_path), write_graph=False), []
    x, y = np.random.default_rng(0).normal(size=(64, 3)), np.arange(64) % 2
    for epoch in range(3):
        fitted = model.fit(
            x, y, validation_data=(x[:32], y[:32]), initial_epoch=epoch, epochs=epoch + 1, callbacks=[logs], batch_size=16, verbose=0
        )
        history.append(fitted.history)
    curves = read_training_curves(tmp_path)
    assert curves["epochs"] == [1, 2, 3]
    for name in ("loss", "auc"):
        assert curves["series"][name]["train"] == pytest.approx([epoch[name][0] for epoch in history])
        assert curves["series"][name]["validation"] == pytest.approx([epoch[f"val_{name}"][0] for epoch in history])


def write(folder, tag, values):
    with tf.summary.create_file_writer(str(folder)).as_default():
        for step, value in values.items():
            tf.summary.scalar(tag, value, step=step)


def test_every_epoch_of_a_long_training_is_there(tmp_path):
    write(tmp_path / "validation", "epoch_auc", {step: step / 100 for step in range(100)})
    curves = read_training_curves(tmp_path)
    assert curves["epochs"] == list(range(1, 101))
    assert curves["series"]["auc"]["validation"] == pytest.approx([step / 100 for step in range(100)])


def test_a_training_that_went_on_has_the_epochs_of_its_second_part(tmp_path):
    write(tmp_path / "train", "epoch_loss", {4: 0.5, 5: 0.25})
    write(tmp_path / "validation", "epoch_loss", {5: 0.125})
    curves = read_training_curves(tmp_path)
    assert curves["epochs"] == [5, 6]
    assert curves["series"] == {
        "loss": {"train": [0.5, 0.25], "validation": [None, 0.125]},
        "auc": {"train": [None] * 2, "validation": [None] * 2},
    }


def test_no_logs(tmp_path):
    assert read_training_curves(tmp_path) is None
