"""The validation AUC and log loss of an epoch are exact, and weighted if the batches have weights."""

import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf

from din_trainer.training.validation import Validation


class Fixed:
    """A model whose scores are given."""

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
    """A weight of 3 is the same as three impressions."""
    scores, labels, weights = np.array([0.2, 0.9, 0.5, 0.1]), np.array([1, 1, 0, 0]), np.array([3.0, 1.0, 1.0, 2.0])
    assert validation_logs(scores, labels, weights) == pytest.approx(
        validation_logs(np.repeat(scores, weights.astype(int)), np.repeat(labels, weights.astype(int)))
    )
