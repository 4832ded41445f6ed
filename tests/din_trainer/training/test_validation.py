"""The validation AUC and log loss of an epoch are exact, and weighted if the batches have weights."""

import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf

from din_trainer.training.validation import Validation


class Fixed:
    """A model whose scores are given."""

    def __init__(self, scores, **weights):
        self._scores = tf.constant(scores, tf.float32)
        self.labels, self.label_weights = tuple(weights), tuple(weights.values())

    def infer(self, rows):
        return tf.gather(self._scores, rows)


def validation_logs(scores, *columns, **weights):
    data = tf.data.Dataset.from_tensor_slices((np.arange(len(scores)), *columns)).batch(100)
    logs = {}
    Validation(Fixed(scores, **weights or {"click": 1.0}), data).on_epoch_end(0, logs)
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
    """A weight of 3 is the same as three impressions."""
    scores, labels, weights = np.array([0.2, 0.9, 0.5, 0.1]), np.array([1, 1, 0, 0]), np.array([3.0, 1.0, 1.0, 2.0])
    assert validation_logs(scores, labels, weights) == pytest.approx(
        validation_logs(np.repeat(scores, weights.astype(int)), np.repeat(labels, weights.astype(int)))
    )


def test_several_labels_have_an_auc_each_and_their_losses_are_weighed():
    rng = np.random.default_rng(1)
    scores, labels, weights = rng.normal(size=(300, 2)), (rng.random((300, 2)) < 0.3).astype(np.int64), rng.random(300)
    logs = validation_logs(scores, labels, weights, click=1.0, purchase=0.5)
    aucs = [sklearn.metrics.roc_auc_score(labels[:, i], scores[:, i], sample_weight=weights) for i in (0, 1)]
    losses = [sklearn.metrics.log_loss(labels[:, i], 1 / (1 + np.exp(-scores[:, i])), sample_weight=weights) for i in (0, 1)]
    assert logs == pytest.approx({"val_auc": aucs[0], "val_auc_purchase": aucs[1], "val_loss": losses[0] + 0.5 * losses[1]}, rel=1e-5)


def test_a_further_label_that_no_row_of_validation_has_gets_no_auc_and_this_is_said(caplog):
    """A purchase is so rare that a small split may have none. Training goes on, since the first label decides."""
    labels = np.array([[0, 0], [1, 0], [0, 0]])
    with caplog.at_level("WARNING", "din_trainer.progress"):
        logs = validation_logs(np.array([[-1.0, -3.0], [1.0, -3.0], [-2.0, -3.0]]), labels, click=1.0, purchase=1.0)
    assert logs["val_auc"] == 1 and set(logs) == {"val_auc", "val_loss"} and np.isfinite(logs["val_loss"])
    assert "the label purchase is the same in all of validation/, so it has no validation AUC" in caplog.text
