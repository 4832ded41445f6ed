"""Hidden layers, one after the other: the common part of the MLP, of towers and of experts."""

from typing import Any

import keras
import tensorflow as tf

from din_trainer.layers.activations import activate, make_activation
from din_trainer.layers.dropout import Dropout
from din_trainer.layers.parts import impressions_in_parts
from din_trainer.layers.products import product_and_bias


@keras.saving.register_keras_serializable("din_trainer")
class HiddenLayers(keras.layers.Layer):
    """Dense layers, each with activation (Dice: equation 9), dropout: (B, width) -> (B, units of the last). Without layers: the input."""

    def __init__(self, hidden: tuple[int, ...], activation: str, dropout: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden, self.activation, self.dropout = tuple(hidden), activation, dropout
        self.dense = [keras.layers.Dense(units, name=f"dense_{i}") for i, units in enumerate(hidden)]
        self.activations = [make_activation(activation, f"activation_{i}") for i in range(len(hidden))]
        self.dropouts = [Dropout(dropout, name=f"dropout_{i}") for i in range(len(hidden))]

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        for dense, activation in zip(self.dense, self.activations, strict=True):
            dense.build((None, width))
            width = dense.units
            activation.build((None, width))

    def call(self, x: Any, training: bool = False) -> Any:
        parts = impressions_in_parts(x) if training else [x]
        for dense, activation, dropout in zip(self.dense, self.activations, self.dropouts, strict=True):
            parts = [product_and_bias(dense, part) for part in parts]  # (B / parts, units) each
            parts = dropout(activate(activation, parts, training), training=training)
        return tf.concat(parts, 0) if training else parts[0]

    def width_behind(self, input_shape: Any) -> int:
        """The size of the output."""
        width: int = self.hidden[-1] if self.hidden else input_shape[-1]
        return width

    def steps(self) -> list[tuple[Any, Any, keras.layers.Layer]]:
        """Kernel, bias and activation of each layer, as `DenseChain` has them."""
        return [(dense.kernel, dense.bias, activation) for dense, activation in zip(self.dense, self.activations, strict=True)]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.width_behind(input_shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": self.hidden, "activation": self.activation, "dropout": self.dropout}
