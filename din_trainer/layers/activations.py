"""Activations by name, and chains of linear layers with activations between them."""

from typing import Any, NamedTuple

import keras

from din_trainer.layers.dice import Dice


class Chain(NamedTuple):
    """Linear layers with activations, one after the other.

    Attributes:
        hidden: Kernel, bias and activation layer of each.
        last: Kernel of the linear layer behind them.
    """

    hidden: list[tuple[Any, Any, keras.layers.Layer]]
    last: Any


def make_activation(name: str, layer_name: str) -> keras.layers.Layer:
    """`dice` (equation 9), `prelu` (equation 8), or any activation that Keras knows, as a layer on (N, D)."""
    if name == "dice":
        return Dice(name=layer_name)
    return keras.layers.PReLU(name=layer_name) if name == "prelu" else keras.layers.Activation(name, name=layer_name)


def activate(layer: keras.layers.Layer, x: Any, training: bool) -> Any:
    """Applies an activation layer; Dice alone has statistics to keep."""
    return layer(x, training=training) if isinstance(layer, Dice) else layer(x)
