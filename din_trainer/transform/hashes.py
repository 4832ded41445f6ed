"""The arithmetic of hashes and crosses: values as text, and the id of a text's hash."""

from collections.abc import Sequence

import tensorflow as tf

from din_trainer.kinds import MISSING

SEPARATOR = "\x1f"  # between the texts of a cross


def texts(values: tf.Tensor) -> tf.Tensor:
    """Values, int64 or bytes, as text: −1 is "", a missing value."""
    if values.dtype == tf.string:
        return values
    return tf.where(tf.equal(values, MISSING["int64"]), tf.constant(""), tf.strings.as_string(values))


def hash_ids(values: tf.Tensor, buckets: int) -> tf.Tensor:
    """The ids of values by FarmHash64 of their texts, in any shape: 1 … `buckets`, and `buckets` + 1 for a missing value."""
    text = texts(values)
    return tf.where(tf.equal(text, ""), tf.constant(buckets + 1, tf.int64), 1 + tf.strings.to_hash_bucket_fast(text, buckets))


def crossed(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """The texts of a cross.

    Args:
        parts: Of one shape. Categorical and hashed features as they are in the data (int64 or bytes; missing ones, too); bucketized ones
            by their ids after Transform, which include that of a missing number.

    Returns:
        Text in the same shape, with `SEPARATOR` between the parts. A missing part is "".
    """
    return tf.strings.join([texts(part) for part in parts], SEPARATOR)


def cross_ids(text: tf.Tensor, buckets: int) -> tf.Tensor:
    """The ids of a hashed cross, 1 … `buckets`, of texts from `crossed`."""
    return 1 + tf.strings.to_hash_bucket_fast(text, buckets)
