"""The Deep Interest Network of Zhou et al., 2018 (arXiv 1706.06978v4, figure 2, right)."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from din_trainer.features import LONG_HISTORY
from din_trainer.layers.attention_unit import AttentionUnit
from din_trainer.layers.dense_chain import DenseChain
from din_trainer.layers.events import places_of
from din_trainer.layers.interactions import interactions_of
from din_trainer.models.embedder import one_row_a_candidate
from din_trainer.models.long_history import LongHistory, Parts
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
        inputs, parts = self.search(inputs)  # of a long history: its recent events, and those that are chosen for the candidate
        fields = self.look_up(inputs, training)  # by feature: (B, D), or (E, D) for events

        interests = {}
        for sequence, history in self.parted(self.histories(inputs, fields), parts).items():
            attention = self.attention[sequence]  # local activation: query (B, D), keys (E, D)
            interest = attention(*history, training=training)  # equation 3: (B, D)
            interests[sequence] = [interest, *self.interactions(sequence, history, interest)]
        if self.long_history:
            interests[LONG_HISTORY] = self.long_history.by_candidate(inputs, interests[LONG_HISTORY])  # (B · N, D) -> (B, N, D)

        x = ops.concatenate(one_row_a_candidate(self.in_order(fields, interests)), axis=-1)  # (B, sum of all D)
        logits = self.mlp(x, training=training)  # hidden layers with Dice (equation 9), then one linear unit: (B,)
        return self.with_positions(logits, fields)

    def make_layers(self) -> None:
        super().make_layers()
        model = self.din_config.model
        self.attention = {
            sequence: AttentionUnit(model.attention_hidden, model.activation, model.attention_softmax, name=f"attention_{sequence}")
            for sequence in (*self.sequences, *[LONG_HISTORY] * bool(self.din_config.features.searched))
        }
        self.long_history = LongHistory(self.din_config) if LONG_HISTORY in self.attention else None
        self.hash_search = self.long_history.hashes if self.long_history else None  # Keras finds its weights here

    def build(self, input_shape: Any = None) -> None:
        super().build()
        sizes = self.history_sizes()
        if self.long_history:
            self.long_history.build()
            sizes[LONG_HISTORY] = sizes[self.long_history.sequence]
        for sequence, (d, x) in sizes.items():
            self.attention[sequence].build((None, d), (None, d), (None,), (None, x) if x else None)

    def search(self, inputs: ModelInputs) -> tuple[ModelInputs, Parts | None]:
        """Takes out of a long history what the model does not read. Without one, all stays as it is."""
        return self.long_history.search(inputs, self.tables) if self.long_history else (inputs, None)

    def parted(self, histories: dict[str, History], parts: Parts | None) -> dict[str, History]:
        """The histories, and after the last one as `LONG_HISTORY` the events that were chosen from the long one."""
        return self.long_history.parted(histories, parts) if self.long_history and parts else histories

    def interactions(self, sequence: str, history: History, interest: Any) -> list[Any]:
        """What the MLP reads beside the paper's inputs: the sum of the history and products with the candidate, as configured."""
        kind = self.din_config.model.interactions
        if kind == "none":
            return []
        of_sequence = self.din_config.features.searched if sequence == LONG_HISTORY else sequence
        sizes = [self.din_config.features.vocabulary_of(name).dim for name in self.sequences[of_sequence]]
        return interactions_of(kind, history.query, history.events(), history.rows, interest, sizes)

    def attention_weights(self, inputs: ModelInputs) -> dict[str, tuple[Any, Any]]:
        """Returns by sequence what each event's embedding is multiplied by at inference, and where the event is.

        Returns:
            By sequence the weights, (E,), and the places of their events: row and column in (B, L), (E, 2) int64. Of a long history the
            recent events have the name of the sequence, and the chosen ones are called `LONG_HISTORY`, with their places in all of it.
        """
        read, parts = self.search(inputs)
        histories = self.parted(self.histories(read, self.look_up(read, training=False)), parts)
        weights = {sequence: self.attention[sequence].weights_of(*history)[:, 0] for sequence, history in histories.items()}
        places = {sequence: places_of(history.rows) for sequence, history in histories.items()}
        if self.long_history and parts:
            rows = inputs.rows[self.din_config.features.aligned_columns[self.long_history.sequence][0].name]
            places[LONG_HISTORY] = tf.gather(places_of(rows), parts.chosen.positions)
        return {sequence: (x, places[sequence]) for sequence, x in weights.items()}

    def dense_chains(self) -> list[DenseChain]:
        return [*super().dense_chains(), *(unit.dense_chain() for unit in self.attention.values())]
