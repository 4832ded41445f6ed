"""Several labels with a shared bottom: hidden layers that all labels share, then a tower for each label."""

from typing import Any

import keras
from keras import ops

from din_trainer.layers.dense_chain import DenseChain
from din_trainer.layers.hidden_layers import HiddenLayers
from din_trainer.layers.mlp import MLP


@keras.saving.register_keras_serializable("din_trainer")
class SharedBottom(HiddenLayers):
    """The hidden layers of the MLP, then a tower for each label: (B, width) -> logits (B, labels).

    Args:
        labels: The names of the labels; each tower has its label's name.
        hidden: The shared layers.
        tower_hidden: The hidden layers of each tower.
        activation: Of all layers.
        dropout: Of all layers.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        hidden: tuple[int, ...],
        tower_hidden: tuple[int, ...],
        activation: str,
        dropout: float,
        **kwargs: Any,
    ):
        super().__init__(hidden, activation, dropout, **kwargs)
        self.labels, self.tower_hidden = tuple(labels), tuple(tower_hidden)
        self.towers = [MLP(tower_hidden, activation, dropout, name=f"tower_{label}") for label in labels]

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        for tower in self.towers:
            tower.build((None, self.width_behind(input_shape)))

    def call(self, x: Any, training: bool = False) -> Any:
        shared = super().call(x, training)
        return ops.stack([tower(shared, training=training) for tower in self.towers], axis=-1)

    def dense_chains(self) -> list[DenseChain]:
        """As `MLP.dense_chains`. The shared layers are a part of each tower's chain."""
        return [DenseChain([*self.steps(), *chain.hidden], chain.last) for tower in self.towers for chain in tower.dense_chains()]

    def input_kernels(self) -> list[Any]:
        """The kernels that read the input."""
        return [self.dense[0].kernel] if self.dense else [kernel for tower in self.towers for kernel in tower.input_kernels()]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], len(self.labels))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "labels": self.labels, "tower_hidden": self.tower_hidden}
