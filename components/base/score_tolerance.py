"""How much the scores of a trained model and of its export may differ."""

import numpy as np


def allowed_difference(tolerance: float, probability: np.ndarray) -> float:
    """The largest allowed difference of a probability: `tolerance`, times the largest absolute logit if that is above 1.

    A logit is a sum in single precision. Another order of addition changes the last of its seven digits.

    Args:
        tolerance: The setting `serving.tolerance`.
        probability: The trained model's scores, of any shape.
    """
    within = np.clip(np.asarray(probability, np.float64), 1e-7, 1 - 1e-7)
    logits = np.log(within / (1 - within))
    return tolerance * float(np.abs(logits).max(initial=1.0))
