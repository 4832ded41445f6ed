"""The arithmetic of tags: which of them are read, and their weights."""

from typing import Any

import tensorflow as tf

_LARGEST = 1e6


def read_tags(tags: tf.RaggedTensor, weights: tf.RaggedTensor | None, missing: Any, most: int) -> tuple[Any, Any]:
    """Takes the first tags of each slot that are not missing.

    Args:
        tags: (S, any), as in the data.
        weights: Float, side by side with the tags; None if there are none.
        missing: −1 or "".
        most: How many tags are read.

    Returns:
        The tags and their weights, ragged (S, up to `most`), as `bounded` gives them.

    Raises:
        InvalidArgumentError: When it runs: a slot has more or fewer weights than tags.
    """
    there = tags.with_values(tf.not_equal(tags.values, missing))
    kept = tf.ragged.boolean_mask(tags, there)[:, :most]
    if weights is None:
        return kept, None
    same = tf.reduce_all(tf.equal(tags.row_splits, weights.row_splits))
    with tf.control_dependencies([tf.debugging.Assert(same, ["tags need as many weights as there are tags"])]):
        values = bounded(weights.values)
    return kept, tf.ragged.boolean_mask(tags.with_values(values), there)[:, :most]


def bounded(x: tf.Tensor) -> tf.Tensor:
    """Weights of tags, or floats of vectors, as the model reads them: within ±10⁶, so that no sum or product overflows; 0 if not finite."""
    return tf.clip_by_value(tf.where(tf.math.is_finite(x), x, tf.zeros_like(x)), -_LARGEST, _LARGEST)


def padded(x: tf.RaggedTensor, most: int) -> tf.Tensor:
    """Tags' ids or weights (S, any) -> (S, most), padded with 0."""
    return x.to_tensor(tf.zeros([], x.dtype), shape=[None, most])
