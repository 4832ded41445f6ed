"""How far two ways of computing one score may be apart."""

import numpy as np


def allowed_difference(tolerance: float, probability: np.ndarray) -> float:
    """The most that a probability may differ: `tolerance` for logits up to 1, and times the largest logit beyond.

    A logit is a sum in single precision, of which other orders of adding up change the last of seven digits.

    Args:
        tolerance: `serving.tolerance`.
        probability: The trained model's scores, of any shape.
    """
    within = np.clip(np.asarray(probability, np.float64), 1e-7, 1 - 1e-7)
    logits = np.log(within / (1 - within))
    return tolerance * float(np.abs(logits).max(initial=1.0))
