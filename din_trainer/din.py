"""The Deep Interest Network: a history pooled by attention units (arXiv 1706.06978v4, figure 2, right)."""

from typing import Any

import keras
import tensorflow as tf

from din_trainer.frame import PACKAGE, RankingModel
from din_trainer.layers import AttentionUnit, flatten_events


@keras.saving.register_keras_serializable(PACKAGE)
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

    def attention_weights(self, features: dict[str, Any]) -> dict[str, Any]:
        """What each event's embedding is multiplied by at inference, by sequence: (B, L), aligned with the histories, 0 on padding."""
        inputs = self.read(features)
        result = {}
        for sequence, history in self.histories(inputs, self.look_up(inputs, training=False)).items():
            padded = features[next(iter(self.sequences[sequence].values())).history]  # (B, L)
            weights = self.attention[sequence].weights_of(*history)  # (E, 1)
            result[sequence] = tf.scatter_nd(flatten_events(padded), weights[:, 0], tf.shape(padded, tf.int64))
        return result

    def build(self, input_shape: Any = None) -> None:
        super().build()
        features = self.din_config.features
        for number, (sequence, behaviours) in enumerate(self.sequences.items()):
            d = sum(features.vocabulary_of(name).dim for name in behaviours)
            further = (None, 1) if number == 0 and features.time_gap else None
            self.attention[sequence].build((None, d), (None, d), (None,), further)
