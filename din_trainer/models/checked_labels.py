"""Reads the labels that a user gives to `fit` and `evaluate`: one for each row, or one for each row and name."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from din_trainer.models.checked_data import check_labels


def check_each_label(labels: Any, rows: int, names: tuple[str, ...]) -> np.ndarray:
    """Reads the labels of a model.

    Args:
        labels: Of one label, one for each row. Of several, the columns by name (a dict or a pandas DataFrame), or an array (N, labels).
        rows: N.
        names: The names of the labels.

    Returns:
        (N,) float32; of several labels (N, labels).

    Raises:
        ValueError: As `check_labels`; or a label is missing, or there are more of them.
    """
    if len(names) == 1:
        return check_labels(labels, rows)
    if isinstance(labels, Mapping) or hasattr(labels, "columns"):
        given = [str(name) for name in labels]
        if sorted(given) != sorted(names):
            raise ValueError(f"the labels are {', '.join(given)}, but the model has {', '.join(names)}")
        columns = [labels[name] for name in names]
    else:
        columns = list(_matrix(labels, names).T)
    return np.stack([check_labels(column, rows, f"the label {name}") for name, column in zip(names, columns, strict=True)], axis=1)


def _matrix(labels: Any, names: tuple[str, ...]) -> np.ndarray:
    advice = f"give an array (N, {len(names)}) with the columns {', '.join(names)}, or a dict of them"
    try:
        matrix = np.asarray(labels)
    except ValueError:
        raise ValueError(f"the labels are lists of different lengths: {advice}") from None
    if matrix.ndim != 2 or matrix.shape[1] != len(names):
        raise ValueError(f"the labels have the shape {matrix.shape}, but the model has {len(names)} labels: {advice}")
    return matrix
