"""Takes the padding out of transformed features: the form of the training data becomes that of the model."""

from typing import Any

import tensorflow as tf
from keras import ops

from din_trainer.features import FeatureConfig
from din_trainer.kinds import Tags
from din_trainer.layers.events import flatten_events
from din_trainer.models.mlp_inputs import event_fields, is_dense
from din_trainer.models.model_inputs import Bag, ModelInputs


def without_padding(features: FeatureConfig, transformed: dict[str, Any], history: bool) -> ModelInputs:
    """Returns the inputs of a model.

    Args:
        features: The feature definition.
        transformed: Features by name after Transform: ids (B,), numbers (B,) or (B, width), tags (B, most), and those of events with L
            behind B. Positions may be absent.
        history: Whether the model reads histories.
    """
    inputs = ModelInputs({}, {}, {}, {})
    inputs.ids.update({b.candidate: transformed[b.candidate] for b in features.behaviours.values()})
    fields = event_fields(features)
    for sequence, behaviours in features.sequences.items() if history else ():
        positions = flatten_events(transformed[next(iter(behaviours.values())).history])  # (E, 2)
        events = {b.history: b for b in behaviours.values()} | fields[sequence]
        inputs.rows.update(dict.fromkeys(events, positions[:, 0]))
        for name, feature in events.items():
            weights = tf.gather_nd(transformed[feature.weights], positions) if _is_weighted(feature) else None
            _put(inputs, name, feature, tf.gather_nd(transformed[name], positions), weights)  # (B, L, …) -> (E, …)
    for name, feature in {**features.own, **features.side}.items():
        _put(inputs, name, feature, transformed[name], transformed[feature.weights] if _is_weighted(feature) else None)
    inputs.ids.update({name: transformed[name] for name in features.position if name in transformed})
    return inputs


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
