"""The MLP: from the concatenated fields of an impression to its logit."""

from typing import Any

import keras
from keras import ops

from din_trainer.layers.dense_chain import DenseChain
from din_trainer.layers.hidden_layers import HiddenLayers


@keras.saving.register_keras_serializable("din_trainer")
class MLP(HiddenLayers):
    """Hidden layers, then one linear unit: (B, width) -> (B,)."""

    def __init__(self, hidden: tuple[int, ...], activation: str, dropout: float, **kwargs: Any):
        super().__init__(hidden, activation, dropout, **kwargs)
        self.logit = keras.layers.Dense(1, use_bias=False, name="logit")

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.logit.build((None, self.width_behind(input_shape)))
        self.logit_bias = self.add_weight(name="logit_bias", shape=(), initializer="zeros")

    def call(self, x: Any, training: bool = False) -> Any:
        return ops.squeeze(self.logit(super().call(x, training)), -1) + self.logit_bias

    def dense_chains(self) -> list[DenseChain]:
        """Its linear layers and activations, for `din_trainer.export.fold_dice`."""
        return [DenseChain(self.steps(), self.logit.kernel)]

    def input_kernels(self) -> list[Any]:
        """The kernels that read the input."""
        return [self.dense[0].kernel if self.dense else self.logit.kernel]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[:-1]
