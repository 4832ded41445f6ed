"""The AUC of training against scikit-learn's."""

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from din_trainer.models.binned_auc import BinnedAUC


def judged(clicks, count=20_000):
    """Labels and probabilities with a click rate, where clicks have higher probabilities by half a standard deviation."""
    rng = np.random.default_rng(0)
    labels = (rng.random(count) < clicks).astype(np.int64)
    return labels, 1 / (1 + np.exp(-(np.log(clicks) + rng.normal(size=count) + 0.5 * labels))).astype(np.float32)


@pytest.mark.parametrize("clicks", [0.3, 0.002])
def test_it_is_the_auc_to_three_digits_for_common_and_for_rare_clicks(clicks):
    labels, p = judged(clicks)
    metric = BinnedAUC()
    for begin in range(0, len(p), 1_000):
        metric.update_state(labels[begin : begin + 1_000, None], p[begin : begin + 1_000, None])
    assert float(metric.result()) == pytest.approx(roc_auc_score(labels, p), abs=1e-3)
    metric.reset_state()
    assert float(metric.result()) == 0.0


def test_rows_have_weights():
    labels, p = judged(0.3)
    weights = np.random.default_rng(1).random(len(p))
    metric = BinnedAUC()
    metric.update_state(labels, p, sample_weight=weights)
    assert float(metric.result()) == pytest.approx(roc_auc_score(labels, p, sample_weight=weights), abs=1e-3)


def test_equal_probabilities_count_half_and_certain_ones_are_counted():
    metric = BinnedAUC()
    # pairs (click, non-click): (1, ½) and (1, 0) are right, (½, ½) is a tie, (½, 0) is right: 3.5 of 4
    metric.update_state(np.array([1, 1, 0, 0]), np.array([1.0, 0.5, 0.5, 0.0], np.float32))
    assert float(metric.result()) == pytest.approx(3.5 / 4)


def test_no_number_is_counted_somewhere():
    """What diverges is found by its loss; the metric must not fail before."""
    metric = BinnedAUC()
    metric.update_state(np.array([1, 0, 1]), np.array([np.nan, 0.2, 0.7], np.float32))
    assert float(np.sum(metric.counts)) == 3


def test_it_is_saved_with_a_compiled_model():
    metric = keras.metrics.deserialize(keras.metrics.serialize(BinnedAUC(name="auc_like")))
    assert isinstance(metric, BinnedAUC) and metric.name == "auc_like"
