"""The loss of a model with several labels: the weighted sum of their log losses."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("din_trainer")
class LabelsLoss(keras.losses.Loss):
    """Σ_k w_k · log loss of label k: labels and logits (B, labels). Its mean is over the rows.

    Args:
        weights: The weight of each label.
    """

    def __init__(self, weights: tuple[float, ...], name: str = "labels_loss", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.weights = tuple(weights)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The terms times the number of labels, (B, labels): Keras takes the mean of all, which makes it the sum over the labels."""
        losses = ops.binary_crossentropy(y_true, y_pred, from_logits=True)
        return losses * ops.convert_to_tensor([weight * len(self.weights) for weight in self.weights])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weights": self.weights}


def weights_by_label(labels: Any, weights: Any, negative_rate: float) -> Any:
    """The weights of rows in the loss of each label, if only a share of the rows without the first label is kept.

    For the first label these rows weigh no more, since its logit is shifted. For the others, each of them stands for 1 / rate rows.

    Args:
        labels: (B, labels).
        weights: The weight of each row, (B,) or (B, 1), or None.
        negative_rate: The share; 1 if all rows are kept.

    Returns:
        (B, labels).
    """
    stands_for = ops.where(labels[:, :1] > 0, 1.0, 1 / negative_rate)  # (B, 1)
    by_label = ops.concatenate([ops.ones_like(stands_for), ops.repeat(stands_for, labels.shape[1] - 1, axis=1)], axis=1)
    return by_label if weights is None else by_label * ops.cast(ops.reshape(weights, (-1, 1)), by_label.dtype)
