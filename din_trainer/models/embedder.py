"""Looks up the embeddings of all features that a model reads: single ids, tags, events and positions."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from keras import ops

from din_trainer.features import FeatureConfig
from din_trainer.kinds import Tags, Vector
from din_trainer.layers.bags import pool
from din_trainer.layers.embedding_table import EmbeddingTable
from din_trainer.layers.events import rows_of, sum_by_row
from din_trainer.models.mlp_inputs import event_fields, is_dense
from din_trainer.models.model_inputs import ModelInputs


class Embedder:
    """Knows which features a model reads, and which table each of them needs.

    Args:
        features: The feature definition.
        history: Whether the model reads histories.

    Attributes:
        names: The names of the features that need a table, after Transform, by table.
        numbers: The names of the features of numbers, and of the vectors that are read as they are.
        vectors: The vectors by name.
        event_fields: The further fields of the events of each sequence, by sequence and name after Transform.
    """

    def __init__(self, features: FeatureConfig, history: bool):
        self.event_fields = event_fields(features) if history else {}
        events = {name: field for fields in self.event_fields.values() for name, field in fields.items()}
        histories = [b.history for b in features.behaviours.values()] if history else []
        self._candidates = [b.candidate for b in features.behaviours.values()]
        self._of_candidate = {*self._candidates, *features.own}
        read_by_name = {**events, **features.own, **features.side}
        self.vectors = {name: f for name, f in read_by_name.items() if isinstance(f, Vector)}
        self.numbers = [name for name, f in read_by_name.items() if is_dense(f) and not getattr(f, "units", 0)]
        self._tags = {n: f for n, f in read_by_name.items() if isinstance(f, Tags)}
        self._serving_ids = {name: 1 + position.serving for name, position in features.position.items()}
        read = {*self._of_candidate, *histories, *events, *features.side, *features.position}
        by_table = {t: [name for name, own in features.table_by_feature.items() if own == t and name in read] for t in features.tables}
        self.names = {table: names for table, names in by_table.items() if names}

    def look_up(self, inputs: ModelInputs, tables: Mapping[str, EmbeddingTable], training: bool) -> dict[str, Any]:
        """Returns the embeddings of the features that use some tables, by name. Each table is read once.

        Args:
            inputs: A batch.
            tables: Embedding tables by name, with any sizes.
            training: In training positions are those of the batch, otherwise the served one.

        Returns:
            (B, D) each, (B, N, D) of candidates, (E, D) of events.
        """
        embedded: dict[str, Any] = {}
        for name, table in tables.items():
            ids = [self._ids(inputs, feature, training) for feature in self.names[name]]
            embedded |= zip(self.names[name], table(ids, training=training), strict=True)
        return {name: self._pooled(inputs, name, x) if name in self._tags else x for name, x in embedded.items()}

    def _ids(self, inputs: ModelInputs, name: str, training: bool) -> Any:
        if name in self._tags:
            return inputs.bags[name].ids
        if name in self._serving_ids and not training:
            return ops.full_like(inputs.ids[self._candidates[0]], self._serving_ids[name])
        return inputs.ids[name]

    def _pooled(self, inputs: ModelInputs, name: str, x: Any) -> Any:
        """The tags of each impression, candidate or event as one vector: (V, D) -> (B, D), (B, N, D) or (E, D)."""
        bag, combine, candidates = inputs.bags[name], self._tags[name].combine, inputs.ids[self._candidates[0]]
        if name in self._of_candidate and len(candidates.shape) == 2:
            shape = tf.shape(candidates)  # (B, N)
            pooled = pool(x, bag.slots, bag.weights, shape[0] * shape[1], combine)
            return tf.reshape(pooled, [shape[0], shape[1], x.shape[-1]])
        return pool(x, bag.slots, bag.weights, rows_of(inputs.rows.get(name, candidates)), combine)

    def one_row_a_candidate(self, inputs: ModelInputs, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Sums up the events of each impression, and brings all fields to one number of rows: (B, D), or (B · N, D)."""
        count = rows_of(inputs.ids[self._candidates[0]])
        summed = [sum_by_row(x, inputs.rows[name], count) if name in inputs.rows else x for name, x in fields.items()]
        return dict(zip(fields, one_row_a_candidate(summed), strict=True))


def one_row_a_candidate(fields: list[Any]) -> list[Any]:
    """Brings all fields to one number of rows.

    Args:
        fields: (B, D) each; with N candidates an impression, those that differ between candidates are (B, N, D).

    Returns:
        All of them: (B, D) as they are, or (B · N, D), candidate by candidate.
    """
    of_candidates = [x for x in fields if len(x.shape) == 3]
    if not of_candidates:
        return fields
    count = tf.shape(of_candidates[0])[1]
    return [tf.reshape(x, [-1, x.shape[-1]]) if len(x.shape) == 3 else tf.repeat(x, count, axis=0) for x in fields]
