"""Computes the points of a report's curves with scikit-learn: ROC, precision and recall, calibration, and distributions of scores."""

from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

_POINTS = 200  # in a curve: a screen does not show more
_BINS = 50  # of the score distributions
_CALIBRATION_BINS = 10


def _thin(*columns: np.ndarray) -> list[list[float]]:
    """At most `_POINTS` points of a curve, with both ends."""
    keep = np.unique(np.linspace(0, len(columns[0]) - 1, _POINTS).round().astype(int))
    return [[round(float(x), 6) for x in column[keep]] for column in columns]


def _calibration(label: np.ndarray, score: np.ndarray) -> dict[str, list[Any]]:
    """Mean prediction and share of clicks, in bins with the same number of impressions."""
    bins = [rows for rows in np.array_split(np.argsort(score, kind="stable"), _CALIBRATION_BINS) if len(rows)]
    return {
        "predicted": [float(score[rows].mean()) for rows in bins],
        "observed": [float(label[rows].mean()) for rows in bins],
        "examples": [len(rows) for rows in bins],
    }


def curves(label: np.ndarray, score: np.ndarray) -> dict[str, Any] | None:
    """The curves of one model, from (N,) labels and scores; None if there is only one class or a score is NaN."""
    if label.min() == label.max() or np.isnan(score).any():
        return None
    fpr, tpr = _thin(*roc_curve(label, score)[:2])
    precision, recall = _thin(*precision_recall_curve(label, score)[:2])
    edges = np.linspace(0, 1, _BINS + 1)
    clicked, others = (np.histogram(score[label == value], edges)[0].tolist() for value in (1, 0))
    return {
        "roc": {"fpr": fpr, "tpr": tpr},
        "pr": {"recall": recall, "precision": precision},
        "calibration": _calibration(label, score),
        "scores": {"edges": edges.round(6).tolist(), "clicked": clicked, "not_clicked": others},
    }
