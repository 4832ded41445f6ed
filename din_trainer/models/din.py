"""The Deep Interest Network of Zhou et al., 2018 (arXiv 1706.06978v4, figure 2, right)."""

from typing import Any

import keras
from keras import ops

from din_trainer.layers.attention_unit import AttentionUnit
from din_trainer.layers.dense_chain import DenseChain
from din_trainer.models.model_inputs import ModelInputs
from din_trainer.models.ranking_model import RankingModel, one_row_a_candidate


@keras.saving.register_keras_serializable("din_trainer")
class DIN(RankingModel):
    """Sums up each history with weights that depend on the candidate. Arguments, inputs and outputs are those of `RankingModel`.

    Shapes: B impressions, E events in all of their histories, D the size of an embedding, which differs between features. When N candidates
    share an impression's history, the candidate and the interests are (B, N, D), and B is B · N from `x` on.
    """

    def score(self, inputs: ModelInputs, training: bool = False) -> Any:
        """The forward pass: from the ids of the features to the logits (B,)."""
        embedded = self.look_up(inputs, training)  # by feature: (B, D), or (E, D) for a history
        candidate, side = self.candidate_fields(embedded), self.side_fields(embedded)  # (B, D) each

        interests = []
        for sequence, (query, keys, rows, time_gaps) in self.histories(inputs, embedded).items():
            attention = self.attention[sequence]  # local activation: query (B, D), keys (E, D)
            interests.append(attention(query, keys, rows, time_gaps, training=training))  # equation 3: (B, D)

        fields = one_row_a_candidate([*candidate.values(), *interests], [*side, *self.numbers(inputs)])
        x = ops.concatenate(fields, axis=-1)  # (B, sum of all D)
        return self.mlp(x, training=training)  # hidden layers with Dice (equation 9), then one linear unit: (B,)

    def make_layers(self) -> None:
        super().make_layers()
        model = self.din_config.model
        self.attention = {
            sequence: AttentionUnit(model.attention_hidden, model.activation, model.attention_softmax, name=f"attention_{sequence}")
            for sequence in self.sequences
        }

    def build(self, input_shape: Any = None) -> None:
        super().build()
        features = self.din_config.features
        for number, (sequence, behaviours) in enumerate(self.sequences.items()):
            d = sum(features.vocabulary_of(name).dim for name in behaviours)
            time_gaps = (None, 1) if number == 0 and features.time_gap else None
            self.attention[sequence].build((None, d), (None, d), (None,), time_gaps)

    def attention_weights(self, inputs: ModelInputs) -> dict[str, Any]:
        """Returns by sequence what each event's embedding is multiplied by at inference: (E,)."""
        histories = self.histories(inputs, self.look_up(inputs, training=False))
        return {sequence: self.attention[sequence].weights_of(*history)[:, 0] for sequence, history in histories.items()}

    def dense_chains(self) -> list[DenseChain]:
        return [*super().dense_chains(), *(unit.dense_chain() for unit in self.attention.values())]
