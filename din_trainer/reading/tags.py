"""The tags that are read: the first ones of each impression, candidate or event, without padding."""

from typing import Any

import tensorflow as tf

from din_trainer.reading.raw_values import RawTags
from din_trainer.transform.tags import bounded, read_tags


def of_ragged(tags: tf.RaggedTensor, weights: tf.RaggedTensor | None, missing: Any, most: int) -> RawTags:
    """Reads tags of tf.Examples: ragged (S, any), weights side by side with them. S impressions, candidates or events."""
    kept, own = read_tags(tags, weights, missing, most)
    return RawTags(kept.values, kept.value_rowids(), None if own is None else own.values)


def of_padded(tags: tf.Tensor, weights: tf.Tensor | None, missing: Any, most: int) -> RawTags:
    """Reads padded tags: (S, K), or (B, N, K) for candidates, weights side by side with them. Missing tags may stand anywhere."""
    present = _by_slot(tf.not_equal(tags, missing))
    earlier = tf.cumsum(tf.cast(present, tf.int32), axis=1, exclusive=True)
    positions = tf.where(tf.logical_and(present, earlier < most))  # (V, 2)
    values = tf.gather_nd(_by_slot(tags), positions)
    if weights is not None:
        weights = tf.gather_nd(_by_slot(weights), positions)
        weights = bounded(weights)
    return RawTags(values, positions[:, 0], weights)


def _by_slot(x: tf.Tensor) -> tf.Tensor:
    """(S, K) as it is, (B, N, K) as (B · N, K)."""
    return x if len(x.shape) == 2 else tf.reshape(x, tf.stack([tf.reduce_prod(tf.shape(x)[:2]), tf.shape(x)[2]]))
