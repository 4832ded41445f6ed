"""The form in which a layer gives its dense layers and activations to `export/fold_dice.py`."""

from typing import Any, NamedTuple

import keras


class DenseChain(NamedTuple):
    """Dense layers, one after the other, each but the last with an activation behind it.

    Attributes:
        hidden: Kernel, bias and activation layer of each hidden layer.
        last: Kernel of the linear layer behind them.
        adds_once: Whether the first layer adds its bias to fewer rows than it has outputs, so that the bias costs next to nothing.
    """

    hidden: list[tuple[Any, Any, keras.layers.Layer]]
    last: Any
    adds_once: bool = False
