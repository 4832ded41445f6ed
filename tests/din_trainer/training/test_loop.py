"""Training keeps the weights of its best epoch, and stops after `patience` epochs without a better one."""

import keras
import numpy as np
import pytest
import sklearn.metrics

from din_trainer.config import DINConfig
from din_trainer.models.make_model import make_model
from din_trainer.training import loop
from din_trainer.training.loop import seed_everything, train
from tests.din_trainer.batches import SIZES, make_batch, make_dataset, make_labels


def test_the_best_epoch_s_weights_are_kept(tmp_path):
    """On noise the validation AUC falls after a while; the model that comes out is the one of the best epoch."""
    config = DINConfig.model_validate(
        {"model": {"kind": "base"}, "training": {"epochs": 30, "patience": 2, "learning_rate": 0.01, "batch_size": 64}}
    )
    seed_everything(0, deterministic=False)
    train_data, validation = make_dataset(500, 1), make_dataset(500, 2)
    model, epochs, _ = train(make_model(config, SIZES), lambda epoch: train_data, validation, tmp_path)
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
