"""What all models share: ids to embeddings, embeddings to fields, an MLP to the logit.

B impressions a batch, E events in all of their histories, D the size of a field.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from din_trainer.config import DINConfig
from din_trainer.features import TIME_GAPS, Behaviour
from din_trainer.layers.activations import Chain
from din_trainer.layers.embedding_table import EmbeddingTable
from din_trainer.layers.events import flatten_events, rows_of, sum_by_row
from din_trainer.layers.mlp import MLP
from din_trainer.models.fields import Fields, Ids


class RankingModel(keras.Model):
    """Click-through-rate model: transformed features in, logits out.

    A model says which layers it has, how it pools a history (`pool`), and what it adds to the MLP's input (`cross`) or logit (`shallow`).

    Args:
        config: Features and sizes.
        vocabulary_sizes: Embedding rows by vocabulary name: padding, the known values and the out-of-vocabulary buckets.

    Call arguments:
        features: Dict of transformed features by raw name: ids (B,) and histories (B, L) as int64, numeric features (B,) as float32.

    Output shape: (B,), logits; the click probability is their sigmoid. In training on down-sampled negatives, those of the sampled data.

    Raises:
        ValueError: A vocabulary of the configuration has no size.
    """

    def __init__(self, config: DINConfig, vocabulary_sizes: dict[str, int], **kwargs: Any):
        super().__init__(**kwargs)
        vocabularies = config.features.vocabularies
        missing = sorted(set(vocabularies) - set(vocabulary_sizes))
        if missing:
            raise ValueError(f"vocabulary_sizes lacks {', '.join(missing)}; received {sorted(vocabulary_sizes)}")
        self.din_config = config
        self.vocabulary_sizes = dict(vocabulary_sizes)
        self.sequences: dict[str, dict[str, Behaviour]] = config.features.sequences if config.model.history else {}
        self.make_layers()

    def make_layers(self) -> None:
        """Called once, by the constructor."""
        config = self.din_config
        decay, scale = config.training.regularization, config.model.embedding_scale
        self.tables = {
            name: EmbeddingTable(self.vocabulary_sizes[name], v.dim, decay, scale, trainable=v.trainable, name=f"embedding_{name}")
            for name, v in config.features.vocabularies.items()
        }
        self.mlp = MLP(config.model.hidden, config.model.activation, config.model.dropout, name="mlp")

    def tables_of(self, vocabulary: str) -> list[EmbeddingTable]:
        """The embedding tables with a row for each value of a vocabulary."""
        return [self.tables[vocabulary]]

    def pool(self, sequence: str, query: Any, keys: Any, rows: Any, further: Any, training: bool) -> Any:
        """A history as one vector: (B, D), (E, D), (E,), (E, X) or None -> (B, D). Here the sum, zero for an empty history.

        Where the query is (B, N, D), N candidates, so is the result.
        """
        interest = sum_by_row(keys, rows, rows_of(query))
        return interest if len(query.shape) == 2 else tf.broadcast_to(interest[:, None], tf.shape(query))

    def cross(self, fields: Fields) -> list[Any]:
        """Further inputs of the MLP, each (B, any)."""
        return []

    def chains(self) -> list[Chain]:
        """Where an activation stands between two linear layers."""
        return [self.mlp.chain()]

    def shallow(self, inputs: Ids, fields: Fields, training: bool) -> Any:
        """What is added to the MLP's logit: (B,), or (B · N,) for N candidates."""
        return 0.0

    def cross_width(self) -> int:
        """Size of `cross`'s output in all."""
        return 0

    def field_sizes(self) -> list[int]:
        """D of each field, in the order of `Fields.embedded`."""
        features = self.din_config.features
        candidates = {b.candidate: features.vocabulary_of(name).dim for name, b in features.behaviours.items()}
        interests = [features.vocabulary_of(name).dim for behaviours in self.sequences.values() for name in behaviours]
        return [*candidates.values(), *interests, *(f.dim for f in features.side.values() if f.kind == "categorical")]

    def build(self, input_shape: Any = None) -> None:
        """Makes every weight at once, so that a reloaded model lacks none."""
        for table in self.tables.values():
            table.build()
        numbers = sum(feature.kind == "numeric" for feature in self.din_config.features.side.values())
        self.mlp.build((None, sum(self.field_sizes()) + numbers + self.cross_width()))

    def call(self, features: dict[str, Any], training: bool = False) -> Any:
        return self.of_sampled_data(self.score(self.read(features), training), training)

    def score(self, inputs: Ids, training: bool = False) -> Any:
        """Logits: (B,), or (B · N,) for N candidates an impression, whose history is then looked up and embedded once."""
        fields = self.embed(inputs, training)
        x = ops.concatenate([*fields.candidate.values(), *fields.pooled, *fields.side, *fields.numbers, *self.cross(fields)], axis=-1)
        return self.mlp(x, training=training) + self.shallow(inputs, fields, training)

    @tf.function(reduce_retracing=True)
    def infer(self, features: dict[str, Any]) -> Any:
        """The logits at inference, as a graph that is traced once."""
        return self(features, training=False)

    def of_sampled_data(self, logits: Any, training: bool) -> Any:
        """In training, the logits of the data with its negatives down-sampled: log(1 / rate) more than those of all data.

        A model that is fitted with this shift gives calibrated probabilities without it (He et al., 2014, section 6.3, in logits).
        """
        rate = self.din_config.training.negative_rate
        return logits - ops.log(rate) if training and rate < 1 else logits

    def read(self, features: dict[str, Any]) -> Ids:
        """Takes the padding out."""
        config = self.din_config.features
        ids = {behaviour.candidate: features[behaviour.candidate] for behaviour in config.behaviours.values()}
        rows, time_gaps = {}, None
        for number, behaviours in enumerate(self.sequences.values()):
            positions = flatten_events(features[next(iter(behaviours.values())).history])  # (E, 2)
            for behaviour in behaviours.values():
                ids[behaviour.history] = tf.gather_nd(features[behaviour.history], positions)  # (B, L) -> (E,)
                rows[behaviour.history] = positions[:, 0]
            if number == 0 and config.time_gap:
                time_gaps = ops.expand_dims(tf.gather_nd(features[TIME_GAPS], positions), 1)
        side = config.side
        ids |= {name: features[name] for name, feature in side.items() if feature.kind == "categorical"}
        numbers = [ops.expand_dims(features[name], 1) for name, feature in side.items() if feature.kind == "numeric"]
        return Ids(ids, rows, numbers, time_gaps)

    def embed(self, inputs: Ids, training: bool) -> Fields:
        """Looks each table up once, then pools each sequence."""
        features = self.din_config.features
        embedded = self.look_up(inputs, training)
        interests: dict[str, Any] = {}
        pooled = []
        for sequence, history in self.histories(inputs, embedded).items():
            interest = self.pool(sequence, *history, training)  # (B, D) or (B, N, D)
            pooled.append(interest)
            behaviours = self.sequences[sequence]
            sizes = [features.vocabulary_of(name).dim for name in behaviours]
            interests |= zip((b.history for b in behaviours.values()), tf.split(interest, sizes, axis=-1), strict=True)
        candidates = {b.candidate: embedded[b.candidate] for b in features.behaviours.values()}
        fields = Fields(candidates, interests, pooled, [embedded[name] for name in features.side if name in embedded], inputs.numbers)
        first = next(iter(candidates.values()))
        return fields if len(first.shape) == 2 else _one_row_a_candidate(fields, tf.shape(first)[1])

    def look_up(self, inputs: Ids, training: bool) -> dict[str, Any]:
        """The embeddings of all ids by raw name: of the ids' shape and D."""
        vocabulary_by_feature = self.din_config.features.vocabulary_by_feature
        embedded: dict[str, Any] = {}
        for name, table in self.tables.items():
            fed = [raw for raw, vocabulary in vocabulary_by_feature.items() if vocabulary == name and raw in inputs.ids]
            embedded |= zip(fed, table([inputs.ids[raw] for raw in fed], training=training), strict=True)
        return embedded

    def histories(self, inputs: Ids, embedded: dict[str, Any]) -> dict[str, tuple[Any, Any, Any, Any]]:
        """What `pool` gets of each sequence: query, keys, rows and further."""
        result = {}
        for number, (sequence, behaviours) in enumerate(self.sequences.items()):
            query = ops.concatenate([embedded[b.candidate] for b in behaviours.values()], axis=-1)  # (B, D) or (B, N, D)
            keys = ops.concatenate([embedded[b.history] for b in behaviours.values()], axis=-1)  # (E, D)
            rows = inputs.rows[next(iter(behaviours.values())).history]
            result[sequence] = query, keys, rows, inputs.time_gaps if number == 0 else None
        return result

    def get_config(self) -> dict[str, Any]:
        return {"config": self.din_config.model_dump(mode="json"), "vocabulary_sizes": self.vocabulary_sizes, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RankingModel":
        return cls(**{**config, "config": DINConfig.model_validate(config["config"])})


def _one_row_a_candidate(fields: Fields, count: Any) -> Fields:
    """Candidates and interests (B, N, D), side features and numbers (B, D) -> each (B · N, D)."""

    def flat(x: Any) -> Any:
        return tf.reshape(x, [-1, x.shape[-1]])

    return Fields(
        {name: flat(x) for name, x in fields.candidate.items()},
        {name: flat(x) for name, x in fields.interest.items()},
        [flat(x) for x in fields.pooled],
        *([tf.repeat(x, count, axis=0) for x in values] for values in (fields.side, fields.numbers)),
    )
