"""The arithmetic of buckets: the id of the bucket of a number."""

from typing import Any

import tensorflow as tf


def bucket_ids(x: tf.Tensor, boundaries: Any) -> tf.Tensor:
    """Finds the buckets of numbers.

    Args:
        x: (S,) float32 or float64. NaN and infinite numbers are missing.
        boundaries: (N,) ascending, possibly with repetitions. They are rounded to the precision of the numbers, so that 0.1 is at the
            boundary 0.1 in single precision, too.

    Returns:
        (S,) int64: 1 below the first boundary, N + 1 from the last one on, N + 2 if the number is missing. A number at a boundary is in the
        bucket above.
    """
    given = boundaries if tf.is_tensor(boundaries) else tf.constant(boundaries, tf.float64)
    edges = tf.cast(given, x.dtype)
    ids = 1 + tf.searchsorted(edges, x, side="right", out_type=tf.int64)
    return tf.where(tf.math.is_finite(x), ids, 2 + tf.size(edges, tf.int64))
