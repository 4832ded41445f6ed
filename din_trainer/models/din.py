"""The Deep Interest Network of Zhou et al., 2018 (arXiv 1706.06978v4, figure 2, right)."""

from typing import Any

import keras
from keras import ops

from din_trainer.layers.attention_unit import AttentionUnit
from din_trainer.layers.dense_chain import DenseChain
from din_trainer.layers.interactions import interactions_of
from din_trainer.models.embedder import one_row_a_candidate
from din_trainer.models.model_inputs import History, ModelInputs
from din_trainer.models.ranking_model import RankingModel


@keras.saving.register_keras_serializable("din_trainer")
class DIN(RankingModel):
    """Sums up each history with weights that depend on the candidate. Arguments, inputs and outputs are those of `RankingModel`.

    Shapes: B impressions, E events in all of their histories, D the size of an embedding, which differs between features. When N candidates
    share an impression's history, the candidate and the interests are (B, N, D), and B is B · N from `x` on.
    """

    def score(self, inputs: ModelInputs, training: bool = False) -> Any:
        """The forward pass: from the ids of the features to the logits (B,)."""
        fields = self.look_up(inputs, training)  # by feature: (B, D), or (E, D) for events

        interests = {}
        for sequence, history in self.histories(inputs, fields).items():
            attention = self.attention[sequence]  # local activation: query (B, D), keys (E, D)
            interest = attention(*history, training=training)  # equation 3: (B, D)
            interests[sequence] = [interest, *self.interactions(sequence, history, interest)]

        x = ops.concatenate(one_row_a_candidate(self.in_order(fields, interests)), axis=-1)  # (B, sum of all D)
        logits = self.mlp(x, training=training)  # hidden layers with Dice (equation 9), then one linear unit: (B,)
        return self.with_positions(logits, fields)

    def make_layers(self) -> None:
        super().make_layers()
        model = self.din_config.model
        self.attention = {
            sequence: AttentionUnit(model.attention_hidden, model.activation, model.attention_softmax, name=f"attention_{sequence}")
            for sequence in self.sequences
        }

    def build(self, input_shape: Any = None) -> None:
        super().build()
        for sequence, (d, x) in self.history_sizes().items():
            self.attention[sequence].build((None, d), (None, d), (None,), (None, x) if x else None)

    def interactions(self, sequence: str, history: History, interest: Any) -> list[Any]:
        """What the MLP reads beside the paper's inputs: the sum of the history and products with the candidate, as configured."""
        kind = self.din_config.model.interactions
        if kind == "none":
            return []
        sizes = [self.din_config.features.vocabulary_of(name).dim for name in self.sequences[sequence]]
        return interactions_of(kind, history.query, history.events(), history.rows, interest, sizes)

    def attention_weights(self, inputs: ModelInputs) -> dict[str, Any]:
        """Returns by sequence what each event's embedding is multiplied by at inference: (E,)."""
        histories = self.histories(inputs, self.look_up(inputs, training=False))
        return {sequence: self.attention[sequence].weights_of(*history)[:, 0] for sequence, history in histories.items()}

    def dense_chains(self) -> list[DenseChain]:
        return [*super().dense_chains(), *(unit.dense_chain() for unit in self.attention.values())]
