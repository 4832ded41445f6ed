"""Makes the activation layer that a configuration names: Dice, PReLU or one of Keras' own."""

from typing import Any

import keras

from din_trainer.layers.dice import Dice


def make_activation(name: str, layer_name: str) -> keras.layers.Layer:
    """Returns `dice` (equation 9), `prelu` (equation 8), or any activation that Keras knows, as a layer on (N, D)."""
    if name == "dice":
        return Dice(name=layer_name)
    return keras.layers.PReLU(name=layer_name) if name == "prelu" else keras.layers.Activation(name, name=layer_name)


def activate(layer: keras.layers.Layer, parts: list[Any], training: bool) -> list[Any]:
    """Applies an activation layer to the parts of a batch. Only Dice, whose statistics are of all parts, is different in training."""
    return layer(parts, training=training) if isinstance(layer, Dice) else [layer(x) for x in parts]
