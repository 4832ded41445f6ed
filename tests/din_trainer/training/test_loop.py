"""Training selects on an exact validation AUC, keeps the best epoch, and goes on where it was killed."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf

from din_trainer.config import DINConfig, TrainingConfig
from din_trainer.models.make_model import make_model
from din_trainer.training import loop
from din_trainer.training.checkpoints import only_folder
from din_trainer.training.compile_model import make_optimizer
from din_trainer.training.lazy_adam import LazyAdam
from din_trainer.training.loop import seed_everything, train
from din_trainer.training.validation import Validation
from tests.din_trainer.batches import SIZES, make_batch, make_dataset, make_labels


class Fixed:
    """Scores that are given."""

    def __init__(self, scores):
        self._scores = tf.constant(scores, tf.float32)

    def infer(self, rows):
        return tf.gather(self._scores, rows)


def validation_logs(scores, *columns):
    data = tf.data.Dataset.from_tensor_slices((np.arange(len(scores)), *columns)).batch(100)
    logs = {}
    Validation(Fixed(scores), data).on_epoch_end(0, logs)
    return logs


def test_validation_auc_is_exact_where_clicks_are_rare():
    rng = np.random.default_rng(0)
    labels = (rng.random(3000) < 0.01).astype(np.int64)
    # all between two of Keras' thresholds
    scores = (rng.normal(-6, 0.3, 3000) + 0.3 * labels).astype(np.float32).astype(np.float64)
    logs = validation_logs(scores, labels)
    assert logs["val_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(labels, scores), abs=1e-6)
    assert logs["val_loss"] == pytest.approx(sklearn.metrics.log_loss(labels, 1 / (1 + np.exp(-scores))), abs=1e-6)


def test_validation_counts_impressions_by_their_weight():
    """A weight of 3 is an impression three times over."""
    scores, labels, weights = np.array([0.2, 0.9, 0.5, 0.1]), np.array([1, 1, 0, 0]), np.array([3.0, 1.0, 1.0, 2.0])
    assert validation_logs(scores, labels, weights) == pytest.approx(
        validation_logs(np.repeat(scores, weights.astype(int)), np.repeat(labels, weights.astype(int)))
    )


def test_the_best_epoch_s_weights_are_kept(tmp_path):
    """On noise the validation AUC falls after a while; the model that comes out is the one of the best epoch."""
    config = DINConfig.model_validate({"training": {"epochs": 30, "patience": 2, "learning_rate": 0.01, "batch_size": 64}})
    seed_everything(0, deterministic=False)
    train_data, validation = make_dataset(500, 1), make_dataset(500, 2)
    model, epochs = train(make_model(config, SIZES), lambda epoch: train_data, validation, tmp_path)
    aucs = [epoch["val_auc"] for epoch in epochs]
    assert np.argmax(aucs) == len(aucs) - 3 and len(aucs) < 30
    assert sklearn.metrics.roc_auc_score(make_labels(500, 2), np.asarray(model(make_batch(500, seed=2)))) == pytest.approx(
        max(aucs), abs=1e-4
    )
    assert list(tmp_path.rglob("events.out.tfevents.*"))


@pytest.mark.parametrize(
    ("patience", "aucs"),
    [
        (0, [0.6, 0.5, 0.5, 0.7, 0.6, 0.6]),
        (1, [0.6, 0.5]),
        (2, [0.6, 0.5, 0.5]),
        (3, [0.6, 0.5, 0.5, 0.7, 0.6, 0.6]),
    ],
)
def test_patience_is_the_number_of_epochs_in_a_row_without_a_better_auc(patience, aucs, monkeypatch):
    """The same AUC again is not better; 0 means that no epoch is left out."""

    class Given(keras.callbacks.Callback):
        def __init__(self, model, data):
            super().__init__()

        def on_epoch_end(self, epoch, logs=None):
            logs["val_auc"] = [0.6, 0.5, 0.5, 0.7, 0.6, 0.6][epoch]

    monkeypatch.setattr(loop, "Validation", Given)
    settings = {"model": {"kind": "lr"}, "training": {"epochs": 6, "patience": patience, "batch_size": 64}}
    batch = make_dataset(64, 1)
    trained = train(make_model(DINConfig.model_validate(settings), SIZES), lambda epoch: batch, batch)
    assert [epoch["val_auc"] for epoch in trained.epochs] == aucs


EPOCHS, ROWS = 2, 64 * 70  # 70 batches an epoch: two calls of 32 steps and one of 6
CONFIG = {"model": {"dropout": 0.2}, "training": {"epochs": EPOCHS, "patience": 9, "batch_size": 64, "deterministic": True}}


def train_in(folder: Path | None, **options):
    """A small training that is the same each time."""
    config = DINConfig.model_validate(CONFIG)
    seed_everything(5, deterministic=True)
    model = make_model(config, SIZES)
    return train(model, lambda epoch: make_dataset(ROWS, 1, shuffle=epoch), make_dataset(300, 2), None, folder, **options)


KILLED = """
import os, signal, sys
from pathlib import Path
from din_trainer.training import checkpoints
from tests.din_trainer.training.test_loop import train_in

calls, save, end_epoch = [], checkpoints.Checkpoints.save, checkpoints.Checkpoints.end_epoch

def after(method):
    def counted(self, *args):
        method(self, *args)
        calls.append(args)
        if len(calls) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
    return counted

checkpoints.Checkpoints.save, checkpoints.Checkpoints.end_epoch = after(save), after(end_epoch)
train_in(Path(sys.argv[1]), checkpoint_seconds=0.0)
"""


@pytest.fixture(scope="module")
def uninterrupted():
    return train_in(None)


# an epoch saves after each of its three calls of TensorFlow and at its end
@pytest.mark.parametrize(("saves", "where"), [(2, "within the first epoch"), (7, "when the last epoch's batches are done")])
def test_a_killed_training_ends_with_the_weights_it_would_have_had(saves, where, uninterrupted, tmp_path):
    folder = tmp_path / "checkpoints"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(saves)], capture_output=True, cwd=Path(__file__).parents[3])
    assert killed.returncode == -9, killed.stderr.decode()[-2000:]
    resumed = train_in(folder)
    assert len(resumed.epochs) == EPOCHS - (saves - 1) // 4
    assert len(uninterrupted.model.weights) == len(resumed.model.weights) > 20
    for ours, theirs in zip(resumed.model.weights, uninterrupted.model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)
    assert resumed.epochs[-1]["val_auc"] == uninterrupted.epochs[-1]["val_auc"]
    assert not folder.exists()  # nothing to go on from any more


def test_one_training_s_checkpoints_replace_another_s(tmp_path):
    (tmp_path / "old" / "last").mkdir(parents=True)
    (tmp_path / "same").mkdir()
    assert only_folder(tmp_path, "same") == tmp_path / "same"
    assert [file.name for file in tmp_path.iterdir()] == ["same"]


def rates(schedule, steps):
    optimizer = make_optimizer(TrainingConfig.model_validate({"learning_rate": 0.1, "schedule": schedule}))
    values = []
    for step in steps:
        optimizer.iterations.assign(step)
        values.append(float(optimizer.learning_rate))
    return values


def test_learning_rate_schedules():
    assert rates({}, [0, 1000]) == pytest.approx([0.1, 0.1])
    assert rates({"kind": "exponential", "steps": 10, "rate": 0.5}, [0, 10, 15]) == pytest.approx([0.1, 0.05, 0.1 * 0.5**1.5])
    assert rates({"kind": "cosine", "steps": 10}, [0, 5, 10]) == pytest.approx([0.1, 0.05, 0.0], abs=1e-8)
    warm = {"kind": "cosine", "steps": 10, "warmup_steps": 4}
    assert rates(warm, [0, 2, 4, 9, 14]) == pytest.approx([0.0, 0.05, 0.1, 0.05, 0.0], abs=1e-8)


def test_the_optimizer_is_the_configured_one():
    lazy = make_optimizer(TrainingConfig(clip_norm=3.0))
    assert isinstance(lazy, LazyAdam) and lazy.global_clipnorm == 3.0
    assert type(make_optimizer(TrainingConfig(optimizer="adam"))) is keras.optimizers.Adam
