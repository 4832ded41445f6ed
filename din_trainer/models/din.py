"""The Deep Interest Network: a history pooled by attention units (arXiv 1706.06978v4, figure 2, right)."""

from typing import Any

import keras

from din_trainer.layers.activations import Chain
from din_trainer.layers.attention_unit import AttentionUnit
from din_trainer.models.fields import Ids
from din_trainer.models.ranking_model import RankingModel


@keras.saving.register_keras_serializable("din_trainer")
class DIN(RankingModel):
    """Activates each behaviour sequence by the candidate; all else is the frame's.

    Arguments, inputs and outputs are those of `RankingModel`.

    References:
        Zhou et al., 2018, arXiv 1706.06978v4, section 4.3.
    """

    def make_layers(self) -> None:
        super().make_layers()
        model = self.din_config.model
        self.attention = {
            sequence: AttentionUnit(model.attention_hidden, model.activation, model.attention_softmax, name=f"attention_{sequence}")
            for sequence in self.sequences
        }

    def pool(self, sequence: str, query: Any, keys: Any, rows: Any, further: Any, training: bool) -> Any:
        return self.attention[sequence](query, keys, rows, further, training=training)

    def chains(self) -> list[Chain]:
        return [*super().chains(), *(unit.chain() for unit in self.attention.values())]

    def attention_weights(self, inputs: Ids) -> dict[str, Any]:
        """What each event's embedding is multiplied by at inference, by sequence: (E,)."""
        histories = self.histories(inputs, self.look_up(inputs, training=False))
        return {sequence: self.attention[sequence].weights_of(*history)[:, 0] for sequence, history in histories.items()}

    def build(self, input_shape: Any = None) -> None:
        super().build()
        features = self.din_config.features
        for number, (sequence, behaviours) in enumerate(self.sequences.items()):
            d = sum(features.vocabulary_of(name).dim for name in behaviours)
            further = (None, 1) if number == 0 and features.time_gap else None
            self.attention[sequence].build((None, d), (None, d), (None,), further)
