"""The cross network of DCN-v2: products of all pairs of inputs, then of three, and so on, with weights that are learnt."""

from typing import Any

import keras

from din_trainer.layers.products import product_and_bias


@keras.saving.register_keras_serializable("din_trainer")
class CrossNetwork(keras.layers.Layer):
    """Cross layers with full matrices: x_{l+1} = x_0 ⊙ (W_l x_l + b_l) + x_l. (B, width) -> (B, width).

    Args:
        width: The size of the input.
        layers: How many; with l of them the output has products of up to l + 1 inputs.

    Example:
        y = CrossNetwork(112, 3)(x)  # x (B, 112)

    References:
        Wang et al., 2021, arXiv 2008.13535, equation 1.
    """

    def __init__(self, width: int, layers: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.width = width
        self.dense = [keras.layers.Dense(width, name=f"cross_{i}") for i in range(layers)]

    def build(self, input_shape: Any = None) -> None:
        for dense in self.dense:
            dense.build((None, self.width))

    def call(self, x: Any) -> Any:
        first = x
        for dense in self.dense:
            x = first * product_and_bias(dense, x) + x
        return x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width, "layers": len(self.dense)}
