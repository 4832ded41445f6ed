"""The MLP: from the concatenated fields of an impression to its logit."""

from typing import Any

import keras
from keras import ops

from din_trainer.layers.activations import activate, make_activation
from din_trainer.layers.dense_chain import DenseChain


@keras.saving.register_keras_serializable("din_trainer")
class MLP(keras.layers.Layer):
    """Hidden layers with activation (Dice: equation 9) and dropout, then one linear unit: (B, width) -> (B,)."""

    def __init__(self, hidden: tuple[int, ...], activation: str, dropout: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden, self.activation, self.dropout = tuple(hidden), activation, dropout
        self.dense = [keras.layers.Dense(units, name=f"dense_{i}") for i, units in enumerate(hidden)]
        self.activations = [make_activation(activation, f"activation_{i}") for i in range(len(hidden))]
        self.dropouts = [keras.layers.Dropout(dropout, name=f"dropout_{i}") for i in range(len(hidden))]
        self.logit = keras.layers.Dense(1, use_bias=False, name="logit")

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        for dense, activation in zip(self.dense, self.activations, strict=True):
            dense.build((None, width))
            width = dense.units
            activation.build((None, width))
        self.logit.build((None, width))
        self.logit_bias = self.add_weight(name="logit_bias", shape=(), initializer="zeros")

    def call(self, x: Any, training: bool = False) -> Any:
        for dense, activation, dropout in zip(self.dense, self.activations, self.dropouts, strict=True):
            x = dropout(activate(activation, dense(x), training), training=training)  # (B, units)
        return ops.squeeze(self.logit(x), -1) + self.logit_bias

    def dense_chain(self) -> DenseChain:
        """Its linear layers and activations, for `din_trainer.export.fold_dice`."""
        hidden = [(dense.kernel, dense.bias, activation) for dense, activation in zip(self.dense, self.activations, strict=True)]
        return DenseChain(hidden, self.logit.kernel)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[:-1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": self.hidden, "activation": self.activation, "dropout": self.dropout}
