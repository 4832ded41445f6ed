"""Makes the layer from the concatenated fields to the logits: the MLP, or with several labels a tower for each."""

import keras

from din_trainer.config import DINConfig
from din_trainer.layers.mlp import MLP
from din_trainer.layers.mmoe import MMoE
from din_trainer.layers.towers import SharedBottom


def make_output_layer(config: DINConfig) -> keras.layers.Layer:
    """Returns the layer (B, width) -> (B,) of one label, or (B, width) -> (B, labels). It has `dense_chains` and `input_kernels`."""
    labels, model = config.features.labels, config.model
    if len(labels) == 1:
        return MLP(model.hidden, model.activation, model.dropout, name="mlp")
    if model.towers == "shared":
        return SharedBottom(labels, model.hidden, model.tower_hidden, model.activation, model.dropout, name="mlp")
    return MMoE(labels, model.experts, model.expert_hidden, model.tower_hidden, model.activation, model.dropout, name="mlp")
