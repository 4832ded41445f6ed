"""The curves of a report against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from components.evaluation.curve_points import curves


def test_curves_are_scikit_learn_s():
    rng = np.random.default_rng(0)
    label = rng.integers(2, size=300)
    score = np.clip(label * 0.3 + rng.random(300) * 0.7, 0, 1)
    found = curves(label, score)
    assert np.trapezoid(found["roc"]["tpr"], found["roc"]["fpr"]) == pytest.approx(roc_auc_score(label, score), abs=2e-3)
    assert sum(found["scores"]["clicked"]) == label.sum() and sum(found["scores"]["not_clicked"]) == 300 - label.sum()
    assert sum(found["calibration"]["examples"]) == 300
    assert np.average(found["calibration"]["observed"], weights=found["calibration"]["examples"]) == pytest.approx(label.mean())


def test_one_class_has_no_curves():
    assert curves(np.zeros(3), np.array([0.1, 0.2, 0.3])) is None
