"""The Behavior Sequence Transformer of Chen et al., 2019 (arXiv 1905.06874)."""

from typing import Any

import keras
from keras import ops

from din_trainer.layers.transformer_block import TransformerBlock
from din_trainer.models.embedder import one_row_a_candidate
from din_trainer.models.model_inputs import ModelInputs
from din_trainer.models.ranking_model import RankingModel


@keras.saving.register_keras_serializable("din_trainer")
class BST(RankingModel):
    """One Transformer block over each history with its candidate; the MLP reads what it makes of the candidate, and all other fields.

    Arguments, inputs and outputs are those of `RankingModel`. The shapes are those of `DIN`.
    """

    def score(self, inputs: ModelInputs, training: bool = False) -> Any:
        """The forward pass to the logits (B,)."""
        fields = self.look_up(inputs, training)
        interests = {s: [self.transformers[s](*history, training=training)] for s, history in self.histories(inputs, fields).items()}
        x = ops.concatenate(one_row_a_candidate(self.in_order(fields, interests)), axis=-1)
        return self.with_positions(self.mlp(x, training=training), fields)

    def make_layers(self) -> None:
        super().make_layers()
        length, dropout = self.din_config.features.history_length, self.din_config.model.dropout
        self.transformers = {s: TransformerBlock(length, dropout, name=f"transformer_{s}") for s in self.sequences}

    def build(self, input_shape: Any = None) -> None:
        super().build()
        for sequence, (d, x) in self.history_sizes().items():
            self.transformers[sequence].build((None, d), (None, d), (None,), (None, x) if x else None)
