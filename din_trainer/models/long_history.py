"""Cuts a long history down to what DIN reads of it: its most recent events, and the few that a search chooses for each candidate."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.features import LONG_HISTORY
from din_trainer.layers.events import rows_of, splits_of
from din_trainer.layers.long_history.chosen import Chosen, recent_of_splits
from din_trainer.layers.long_history.hard_search import hard_search
from din_trainer.layers.long_history.hash_search import HashSearch
from din_trainer.models.mlp_inputs import event_fields
from din_trainer.models.model_inputs import Bag, History, ModelInputs


class Parts(NamedTuple):
    """The events of a long history that the model reads: the recent ones, whatever the candidate is, and those chosen for it."""

    recent: Chosen
    chosen: Chosen


class LongHistory:
    """The search of one sequence.

    Args:
        config: A configuration with a long history.

    Attributes:
        sequence: The sequence that is searched.
        hashes: The layer of hash search; None for hard search.
    """

    def __init__(self, config: DINConfig):
        features, self._settings = config.features, config.model.long_history
        self.sequence = features.searched
        self._recent = features.history_length
        behaviours = features.sequences[self.sequence]
        self._histories = {name: b.history for name, b in behaviours.items()}
        self._candidates = {name: b.candidate for name, b in behaviours.items()}
        self._tables = {name: b.vocabulary or name for name, b in behaviours.items()}
        self._of_events = [*self._histories.values(), *event_fields(features)[self.sequence]]
        self._sizes = [features.vocabulary_of(name).dim for name in behaviours]
        settings = self._settings
        self.hashes = HashSearch(settings.bits, settings.events, name="hash_search") if settings.search == "hash" else None

    def build(self) -> None:
        """Makes the weights of the search."""
        if self.hashes:
            self.hashes.build(self._sizes)

    def search(self, inputs: ModelInputs, tables: Mapping[str, Any]) -> tuple[ModelInputs, Parts]:
        """Finds what the model reads.

        Args:
            inputs: With all events that are searched.
            tables: The embedding tables by name.

        Returns:
            The inputs with the recent events, and the chosen ones behind them, as if they were all the events of the sequence; and which
            they are.
        """
        splits = inputs.splits
        if splits is None:
            splits = splits_of(inputs.rows[self._of_events[0]], rows_of(self._any_candidate(inputs)))  # (B + 1,)
        parts = Parts(recent_of_splits(splits, self._recent), self._chosen(inputs, splits, tables))
        return self._cut(inputs, parts), parts

    def parted(self, histories: dict[str, History], parts: Parts) -> dict[str, History]:
        """Parts the history of the sequence, and gives each candidate a query of its own for the chosen events."""
        query, keys, _, fields = histories[self.sequence]
        sizes = [tf.size(chosen.rows) for chosen in parts]
        recent_keys, chosen_keys = tf.split(keys, sizes)
        recent_fields, chosen_fields = (None, None) if fields is None else tf.split(fields, sizes)
        recent = History(query, recent_keys, parts.recent.rows, recent_fields)
        each = tf.reshape(query, [-1, query.shape[-1]])  # (B, D), or (B · N, D)
        return {**histories, self.sequence: recent, LONG_HISTORY: History(each, chosen_keys, parts.chosen.rows, chosen_fields)}

    def by_candidate(self, inputs: ModelInputs, interests: list[Any]) -> list[Any]:
        """Brings (B · N, D) to (B, N, D); without N candidates, all stays as it is."""
        candidates = self._any_candidate(inputs)
        if len(candidates.shape) == 1:
            return interests
        return [tf.reshape(x, [-1, tf.shape(candidates)[1], x.shape[-1]]) for x in interests]

    def _any_candidate(self, inputs: ModelInputs) -> Any:
        return inputs.ids[next(iter(self._candidates.values()))]

    def _chosen(self, inputs: ModelInputs, splits: tf.Tensor, tables: Mapping[str, Any]) -> Chosen:
        """The events that are chosen for each candidate."""
        if self.hashes is None:
            category = self._settings.category
            events = tf.RaggedTensor.from_row_splits(inputs.ids[self._histories[category]], splits, validate=False)
            return hard_search(events, inputs.ids[self._candidates[category]], self._settings.events)
        return self.hashes.choose(
            [tables[self._tables[name]].embeddings.value for name in self._histories],
            [tf.RaggedTensor.from_row_splits(inputs.ids[name], splits, validate=False) for name in self._histories.values()],
            [inputs.ids[name] for name in self._candidates.values()],
        )

    def _cut(self, inputs: ModelInputs, parts: Parts) -> ModelInputs:
        """The inputs with the events of all parts, one part after the other."""
        positions, rows = (tf.concat(each, 0) for each in zip(*parts, strict=True))
        ids, dense, bags = dict(inputs.ids), dict(inputs.dense), dict(inputs.bags)
        for name in self._of_events:
            if name in ids:
                ids[name] = tf.gather(ids[name], positions)
            elif name in dense:
                dense[name] = tf.gather(dense[name], positions)
            else:
                bags[name] = _taken(bags[name], rows_of(inputs.rows[name]), positions)
        return ModelInputs(ids, {**inputs.rows, **dict.fromkeys(self._of_events, rows)}, bags, dense)


def _taken(bag: Bag, events: Any, positions: Any) -> Bag:
    """The tags of some events."""
    splits = splits_of(bag.slots, events)
    places = tf.gather(tf.RaggedTensor.from_row_splits(tf.range(tf.size(bag.ids)), splits, validate=False), positions)
    weights = None if bag.weights is None else tf.gather(bag.weights, places.values)
    return Bag(tf.gather(bag.ids, places.values), places.value_rowids(), weights)
