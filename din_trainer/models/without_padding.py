"""Takes the padding out of transformed features: the form of the training data becomes that of the model."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops

from din_trainer.features import EVENT_COUNTS, FeatureConfig
from din_trainer.kinds import Tags
from din_trainer.layers.events import flatten_events
from din_trainer.models.mlp_inputs import event_fields, is_dense
from din_trainer.models.model_inputs import Bag, ModelInputs


def without_padding(features: FeatureConfig, transformed: dict[str, Any], history: bool) -> ModelInputs:
    """Returns the inputs of a model.

    Args:
        features: The feature definition.
        transformed: Features by name after Transform: ids (B,), numbers (B,) or (B, width), tags (B, most), and those of events with L
            behind B. Positions may be absent. With `EVENT_COUNTS`, (B,), the events of a long history have no padding: E for B, L.
        history: Whether the model reads histories.
    """
    counts = transformed.get(EVENT_COUNTS) if history else None
    inputs = ModelInputs({}, {}, {}, {}, None if counts is None else tf.pad(tf.cumsum(counts), [[1, 0]]))
    inputs.ids.update({b.candidate: transformed[b.candidate] for b in features.behaviours.values()})
    fields = event_fields(features)
    for sequence, behaviours in features.sequences.items() if history else ():
        events = {b.history: b for b in behaviours.values()} | fields[sequence]
        flat, rows = _flat_events(transformed, next(iter(behaviours.values())).history, sequence == features.searched)
        inputs.rows.update(dict.fromkeys(events, rows))
        for name, feature in events.items():
            weights = flat(transformed[feature.weights]) if _is_weighted(feature) else None
            _put(inputs, name, feature, flat(transformed[name]), weights)  # (B, L, …) -> (E, …)
    for name, feature in {**features.own, **features.side}.items():
        _put(inputs, name, feature, transformed[name], transformed[feature.weights] if _is_weighted(feature) else None)
    inputs.ids.update({name: transformed[name] for name in features.position if name in transformed})
    return inputs


def _flat_events(transformed: dict[str, Any], history: str, is_long: bool) -> tuple[Callable[[Any], Any], Any]:
    """A function that takes the padding out of the features of events, and the impression of each event, (E,)."""
    if is_long and EVENT_COUNTS in transformed:
        counts = transformed[EVENT_COUNTS]
        return lambda x: x, tf.repeat(tf.range(tf.shape(counts, tf.int64)[0]), counts)
    positions = flatten_events(transformed[history])  # (E, 2)
    return lambda x: tf.gather_nd(x, positions), positions[:, 0]


def _is_weighted(feature: Any) -> bool:
    return isinstance(feature, Tags) and bool(feature.weights)


def _put(inputs: ModelInputs, name: str, feature: Any, values: Any, weights: Any) -> None:
    """Adds a feature to the inputs, where its kind belongs."""
    if isinstance(feature, Tags):
        positions = flatten_events(values)  # (V, 2)
        inputs.bags[name] = Bag(
            tf.gather_nd(values, positions), positions[:, 0], weights if weights is None else tf.gather_nd(weights, positions)
        )
    elif is_dense(feature):
        inputs.dense[name] = ops.expand_dims(values, 1) if len(values.shape) == 1 else values
    else:
        inputs.ids[name] = values
