"""Brings raw tensors, which are padded, to the forms in which Transform reads raw features.

B impressions, T places for the events of a history, K places for tags.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from din_trainer.features import FeatureConfig
from din_trainer.kinds import MISSING, Tags


def as_in_examples(raw: Mapping[str, Any], features: FeatureConfig) -> dict[str, Any]:
    """Takes the padding of histories away, and adds the number of tags of each event.

    Args:
        raw: (B,) by name; tags and vectors (B, K); those of events (B, T) or (B, T, K). A model without histories has no events.
        features: The feature definition.

    Returns:
        (B,) by name; tags and vectors ragged (B, K); events ragged (B, events), and their tags and vectors (B, events · K).
    """
    tensors = {name: tf.convert_to_tensor(x) for name, x in raw.items()}
    inputs = {name: tf.RaggedTensor.from_tensor(x) if len(x.shape) == 2 else x for name, x in tensors.items()}
    for sequence, (first, *others) in features.aligned_columns.items():
        if first.name not in tensors:
            continue
        present = tf.not_equal(tensors[first.name], MISSING[first.dtype])
        inputs |= {c.name: _of_events(tensors[c.name], present) for c in (first, *others) if c.name in tensors}
        for placed in features.placed:
            if placed.sequence == sequence and isinstance(placed.feature, Tags):
                events = inputs[first.name]
                places = tf.shape(tensors[placed.name], tf.int64)[2]
                inputs[placed.feature.lengths] = events.with_values(tf.fill(tf.shape(events.values), places))
    return inputs


def _of_events(x: tf.Tensor, present: tf.Tensor) -> tf.RaggedTensor:
    """The values of the events that are there: (B, T) -> (B, events), (B, T, K) -> (B, events · K)."""
    events = tf.ragged.boolean_mask(x, present)
    if len(x.shape) == 2:
        return events
    return tf.RaggedTensor.from_row_splits(tf.reshape(events.values, [-1]), events.row_splits * tf.shape(x, tf.int64)[2], validate=False)
