"""Training selects on an exact validation AUC and keeps the best epoch."""

import keras
import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.training import Validation, seed_everything, train
from tests.din_trainer.test_model import SIZES, make_batch


def dataset(rows, seed, rate=0.5):
    batch = make_batch(rows, seed=seed)
    labels = (np.random.default_rng(seed).random(rows) < rate).astype(np.int64)
    return tf.data.Dataset.from_tensor_slices((batch, labels)).batch(64), batch, labels


def test_validation_auc_is_exact_where_clicks_are_rare():
    data, _, labels = dataset(3000, 1, rate=0.01)
    # all between two of Keras' thresholds
    scores = (np.random.default_rng(0).normal(-6, 0.3, 3000) + 0.3 * labels).astype(np.float32).astype(np.float64)

    class Fixed(keras.Model):
        def predict(self, data, verbose):
            return scores.astype(np.float32)

    callback, logs = Validation(data), {}
    callback.set_model(Fixed())
    callback.on_epoch_end(0, logs)
    assert logs["val_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(labels, scores), abs=1e-6)
    assert logs["val_loss"] == pytest.approx(sklearn.metrics.log_loss(labels, 1 / (1 + np.exp(-scores))), abs=1e-6)


def test_the_best_epoch_s_weights_are_kept(tmp_path):
    """On noise the validation AUC falls after a while; the model that comes out is the one of the best epoch."""
    config = DINConfig.model_validate({"training": {"epochs": 30, "patience": 2, "learning_rate": 0.01, "batch_size": 64}})
    seed_everything(0, deterministic=False)
    validation, batch, labels = dataset(500, 2)
    model = train(config, SIZES, dataset(500, 1)[0], validation, tmp_path)
    epochs = model.history.history["val_auc"]
    assert np.argmax(epochs) == len(epochs) - 3 and len(epochs) < 30
    assert sklearn.metrics.roc_auc_score(labels, np.asarray(model(batch))) == pytest.approx(max(epochs), abs=1e-4)
    assert list(tmp_path.rglob("events.out.tfevents.*"))
