"""The tags of an impression, a candidate or an event as one vector: the sum, mean or √n of their embeddings."""

from typing import Any, Literal

import tensorflow as tf
from keras import ops

from din_trainer.layers.events import sum_by_row

Combine = Literal["sum", "mean", "sqrtn"]


def pool(x: Any, slots: Any, weights: Any, count: Any, combine: Combine) -> Any:
    """Combines the tags of each slot. A slot without tags, or with weights that are all 0, is the zero vector.

    Args:
        x: (V, D), the embeddings of all tags.
        slots: (V,) int, ascending: what each tag belongs to.
        weights: (V,); None if each is 1.
        count: How many slots there are.
        combine: `sum`: Σ w x; `mean`: Σ w x / Σ w; `sqrtn`: Σ w x / √Σ w².

    Returns:
        (count, D).
    """
    weights = tf.ones_like(slots, x.dtype) if weights is None else weights
    total = sum_by_row(x * weights[:, None], slots, count)
    if combine == "sum":
        return total
    divisors = sum_by_row(weights, slots, count) if combine == "mean" else ops.sqrt(sum_by_row(ops.square(weights), slots, count))
    return tf.math.divide_no_nan(total, divisors[:, None])
