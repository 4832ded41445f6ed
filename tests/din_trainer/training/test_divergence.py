"""A training that diverges ends with one sentence, and nothing of it can be resumed."""

import numpy as np
import pytest

from din_trainer.config import DINConfig
from din_trainer.models.make_model import make_model
from din_trainer.training import divergence
from din_trainer.training.loop import train
from din_trainer.training_errors import TrainingDiverged
from tests.din_trainer.batches import SIZES, make_dataset

ROWS = 64 * 70  # 70 batches an epoch: two calls of 32 steps and one of 6


def make(**training):
    """Logistic regression, whose graph is made fast."""
    settings = {"model": {"kind": "lr"}, "training": {"epochs": 3, "patience": 9, "batch_size": 64, **training}}
    return make_model(DINConfig.model_validate(settings), SIZES)


def diverge(model, folder, train_epoch=lambda epoch: make_dataset(64, 1)):
    """Trains a model that diverges; returns the message."""
    with pytest.raises(TrainingDiverged) as error:
        train(model, train_epoch, make_dataset(300, 2), None, folder, checkpoint_seconds=0.0)
    return str(error.value)


def only_small_ids(features, label):
    return {name: np.int64(1) + 0 * ids for name, ids in features.items()}, label


def test_the_sentence_names_the_epoch_the_learning_rate_and_the_clipping(tmp_path):
    def train_epoch(epoch):
        return make_dataset(64, 1, np.full(64, np.nan if epoch == 1 else 1.0))

    folder = tmp_path / "checkpoints"
    assert diverge(make(learning_rate=0.5), folder, train_epoch) == (
        "Training diverged in epoch 2: the loss is nan. Lower training.learning_rate (now 0.5), or set training.clip_norm (now not set)."
    )
    assert not folder.exists()  # nothing can be resumed
    message = diverge(make(learning_rate=0.5, clip_norm=3.0), folder, train_epoch)
    assert message.endswith("Lower training.learning_rate (now 0.5) or training.clip_norm (now 3.0).")


def test_updates_that_are_too_large_are_found(tmp_path):
    model = make(regularization=1)
    for table in model.linear.tables.values():
        table.regularization = 1e38  # the configuration allows 1000
        table.counts.assign(np.ones(table.size))
    assert f"in epoch 2: the weights {model.linear.tables['item'].embeddings.path} are not finite" in diverge(model, tmp_path)


def test_an_epoch_ends_early(tmp_path):
    """The loss is looked at after each call of TensorFlow, which is 32 steps, and never more often."""
    weights = np.where(np.arange(ROWS) < 64 * 40, 1.0, np.inf)
    model = make()
    diverge(model, tmp_path, lambda epoch: make_dataset(ROWS, 1, weights))
    assert int(model.optimizer.iterations) == 64


@pytest.mark.parametrize("row", [0, 29])  # that of the padding; the last one, in the last of the blocks in which a table is read
def test_weights_that_no_batch_has_read_count(tmp_path, monkeypatch, row):
    monkeypatch.setattr(divergence, "_BLOCK", 14)
    model = make()
    item = model.linear.tables["item"].embeddings
    item.assign(np.where(np.arange(30) == row, np.inf, np.zeros(30))[:, None])
    assert f"the weights {item.path} are not finite" in diverge(model, tmp_path, lambda epoch: make_dataset(64, 1).map(only_small_ids))


def test_validation_figures_that_are_not_finite_count(tmp_path):
    """Every weight is finite, but the sum of some is not, and only validation/ holds their ids."""

    model = make()
    for name in ("item", "user_id"):
        table = model.linear.tables[name]
        table.embeddings.assign(np.where(np.arange(table.size) > 1, 3e38, 0.0)[:, None])
    message = diverge(model, tmp_path, lambda epoch: make_dataset(64, 1).map(only_small_ids))
    assert "in epoch 1: the validation AUC is nan and the validation loss nan." in message
