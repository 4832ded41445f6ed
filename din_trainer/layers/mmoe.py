"""Several labels with a mixture of experts for each: MMoE (Ma et al., KDD 2018, equations 5 to 8)."""

from typing import Any

import keras
from keras import ops

from din_trainer.layers.dense_chain import DenseChain
from din_trainer.layers.hidden_layers import HiddenLayers
from din_trainer.layers.mlp import MLP


@keras.saving.register_keras_serializable("din_trainer")
class MMoE(keras.layers.Layer):
    """Experts that all labels share; for each label a gate, which weighs them by the input, and a tower: (B, width) -> logits (B, labels).

    Args:
        labels: The names of the labels; each gate and each tower has its label's name.
        experts: How many experts.
        expert_hidden: The layers of each expert, at least one.
        tower_hidden: The hidden layers of each tower.
        activation: Of all layers.
        dropout: Of all layers.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        experts: int,
        expert_hidden: tuple[int, ...],
        tower_hidden: tuple[int, ...],
        activation: str,
        dropout: float,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._settings = {
            "labels": tuple(labels),
            "experts": experts,
            "expert_hidden": tuple(expert_hidden),
            "tower_hidden": tuple(tower_hidden),
            "activation": activation,
            "dropout": dropout,
        }
        self.experts = [HiddenLayers(expert_hidden, activation, dropout, name=f"expert_{i}") for i in range(experts)]
        self.gates = [keras.layers.Dense(experts, "softmax", use_bias=False, name=f"gate_{label}") for label in labels]
        self.towers = [MLP(tower_hidden, activation, dropout, name=f"tower_{label}") for label in labels]

    def build(self, input_shape: Any) -> None:
        for layer in (*self.experts, *self.gates):
            layer.build((None, input_shape[-1]))
        for tower in self.towers:
            tower.build((None, self.experts[0].width_behind(input_shape)))

    def call(self, x: Any, training: bool = False) -> Any:
        experts = ops.stack([expert(x, training=training) for expert in self.experts], axis=1)  # (B, experts, units)
        logits = []
        for gate, tower in zip(self.gates, self.towers, strict=True):
            mixture = ops.sum(ops.expand_dims(gate(x), -1) * experts, axis=1)  # (B, units)
            logits.append(tower(mixture, training=training))
        return ops.stack(logits, axis=-1)

    def dense_chains(self) -> list[DenseChain]:
        """As `MLP.dense_chains`. The last activation of an expert is in none: a gate, and not a linear layer, reads it."""
        chains = [DenseChain(expert.steps()[:-1], expert.dense[-1].kernel) for expert in self.experts]
        return chains + [chain for tower in self.towers for chain in tower.dense_chains()]

    def input_kernels(self) -> list[Any]:
        """The kernels that read the input."""
        return [*(expert.dense[0].kernel for expert in self.experts), *(gate.kernel for gate in self.gates)]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], len(self.towers))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._settings}
