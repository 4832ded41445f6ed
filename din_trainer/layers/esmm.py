"""ESMM (Ma et al., SIGIR 2018, arXiv 1804.07931): a further label can only follow the first, as a purchase follows a click."""

from typing import Any

from keras import ops


def product_logits(logits: Any) -> Any:
    """Makes the probability of each further label the product of the first label's and its own tower's.

    The logit of σ(a) σ(b) is −log(1 / (σ(a) σ(b)) − 1) = −log(e^−a + e^−b + e^−(a + b)), which no size of a or b makes inexact.

    Args:
        logits: Those of the towers, (B, labels). The towers of further labels are for the rows that have the first label.

    Returns:
        Those of the labels, (B, labels).
    """
    a, b = logits[:, :1], logits[:, 1:]
    a = ops.broadcast_to(a, ops.shape(b))
    both = -ops.logsumexp(ops.stack([-a, -b, -a - b]), axis=0)
    return ops.concatenate([logits[:, :1], both], axis=-1)
