"""The way back from what a model reads to the form of the training data: what Transform's graph gives, with padding.

B impressions, E events, L the most that are kept of one history.
"""

from typing import Any

import tensorflow as tf

from din_trainer.features import FeatureConfig, gap_name
from din_trainer.kinds import Cross, Numeric, Tags, TimeGap
from din_trainer.layers.events import splits_of
from din_trainer.models.model_inputs import ModelInputs
from din_trainer.reading.values_read import values_read


def padded_features(
    features: FeatureConfig, inputs: ModelInputs, places: dict[str, tf.Tensor], ragged: bool = False
) -> dict[str, tf.Tensor | tf.RaggedTensor]:
    """Returns the features by name: (B, …), those of events (B, L, …).

    Args:
        features: The feature definition.
        inputs: Of tf.Examples (B,).
        places: By sequence: row and column of each event in (B, L), (E, 2).
        ragged: Whether the sequence with a long history has no padding: ragged (B, events, …).
    """
    count = tf.shape(next(ids for name, ids in inputs.ids.items() if name not in inputs.rows), tf.int64)[0]
    result: dict[str, Any] = {placed.name: inputs.ids[placed.name] for placed in features.placed if isinstance(placed.feature, Cross)}
    for name, _, sequence, feature in values_read(features):
        slots = tf.shape(inputs.rows[name], tf.int64)[0] if name in inputs.rows else count
        found: dict[str, tf.Tensor] = {}
        if isinstance(feature, Tags):
            found[name] = padded_tags(inputs.bags[name].ids, inputs.bags[name].slots, slots, feature.most)
            if feature.weights:
                found[feature.weights] = padded_tags(inputs.bags[name].weights, inputs.bags[name].slots, slots, feature.most)
        elif isinstance(feature, TimeGap):
            found[gap_name(name)] = inputs.dense[gap_name(name)][:, 0]
        elif isinstance(feature, Numeric) and not feature.indicator:
            found[name] = inputs.dense[name][:, 0]
        elif name in inputs.ids or name in inputs.dense:
            found[name] = inputs.ids[name] if name in inputs.ids else inputs.dense[name]
        for each, x in found.items():
            if sequence and sequence == features.searched and ragged:
                result[each] = tf.RaggedTensor.from_row_splits(
                    x, splits_of(inputs.rows[each if each in inputs.rows else name], count), validate=False
                )
            else:
                result[each] = padded_events(x, places[sequence], count, features.length_of(sequence)) if sequence else x
    return result


def padded_events(x: tf.Tensor, places: tf.Tensor, count: tf.Tensor, length: int) -> tf.Tensor:
    """Puts events (E, …) at their places in (count, length, …), and padding elsewhere."""
    shape = tf.stack([count, *(tf.constant(size, tf.int64) for size in (length, *x.shape[1:]))])
    return tf.scatter_nd(places, x, shape)


def padded_tags(x: tf.Tensor, slots: tf.Tensor, count: tf.Tensor, most: int) -> tf.Tensor:
    """Tags (V,) and what each belongs to, one of `count` slots, -> (count, most), padded with 0."""
    by_slot = tf.RaggedTensor.from_value_rowids(x, slots, count, validate=False)
    return by_slot.to_tensor(tf.zeros([], x.dtype), shape=[None, most])
