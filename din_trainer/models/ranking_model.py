"""What all models share: their inputs, embedding tables and MLP, the look-up of embeddings, and saving.

B impressions a batch, E events in all of their histories, N candidates an impression, D the size of a field.
"""

import operator
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from din_trainer.config import DINConfig
from din_trainer.features import PADDING_ID, TIME_GAPS, Behaviour
from din_trainer.layers.dense_chain import DenseChain
from din_trainer.layers.embedding_table import EmbeddingTable
from din_trainer.layers.events import flatten_events
from din_trainer.layers.mlp import MLP
from din_trainer.models.checked_data import Input
from din_trainer.models.columns_read import id_columns, raw_columns
from din_trainer.models.logits_model import LogitsModel
from din_trainer.models.model_inputs import History, ModelInputs
from din_trainer.models.vocabularies import Vocabularies


class RankingModel(LogitsModel):
    """Click-through-rate model: transformed features in, logits out. A subclass defines the forward pass, `score`.

    Args:
        config: Features and sizes.
        vocabulary_sizes: Embedding rows by vocabulary name: padding, the known values and the out-of-vocabulary buckets.
        vocabularies: If given, the model reads raw features, and these turn them into transformed ones.

    Call arguments:
        features: Dict of transformed features by raw name: ids (B,) and histories (B, L) as int64, numeric features (B,) as float32.
            Outside a graph, all that `check_features` reads.

    Output shape: (B,), logits; the click probability is their sigmoid. In training on down-sampled negatives, those of the sampled data.

    Raises:
        ValueError: A vocabulary of the configuration has no size, or one that no table can have.
    """

    def __init__(self, config: DINConfig, vocabulary_sizes: dict[str, int], vocabularies: Vocabularies | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        missing = sorted(set(config.features.vocabularies) - set(vocabulary_sizes))
        if missing:
            raise ValueError(f"vocabulary_sizes lacks {', '.join(missing)}; received {sorted(vocabulary_sizes)}")
        self.din_config = config
        self.vocabulary_sizes = {name: _table_rows(name, size) for name, size in vocabulary_sizes.items()}
        self.vocabularies = vocabularies
        self.sequences: dict[str, dict[str, Behaviour]] = config.features.sequences if config.model.history else {}
        self.make_layers()

    def make_layers(self) -> None:
        """Makes the model's layers; the constructor calls it once."""
        config = self.din_config
        decay, scale = config.training.regularization, config.model.embedding_scale
        self.tables = {
            name: EmbeddingTable(self.vocabulary_sizes[name], v.dim, decay, scale, trainable=v.trainable, name=f"embedding_{name}")
            for name, v in config.features.vocabularies.items()
        }
        self.mlp = MLP(config.model.hidden, config.model.activation, config.model.dropout, name="mlp")

    def build(self, input_shape: Any = None) -> None:
        """Makes every weight at once, so that a reloaded model lacks none."""
        for table in self.tables.values():
            table.build()
        self.mlp.build((None, self.mlp_width()))

    def mlp_width(self) -> int:
        """The size of the MLP's input."""
        return sum(self.field_sizes()) + sum(feature.kind == "numeric" for feature in self.din_config.features.side.values())

    def field_sizes(self) -> list[int]:
        """D of each embedded field: candidate fields, interests, side features."""
        features = self.din_config.features
        candidates = {b.candidate: features.vocabulary_of(name).dim for name, b in features.behaviours.items()}
        interests = [features.vocabulary_of(name).dim for behaviours in self.sequences.values() for name in behaviours]
        return [*candidates.values(), *interests, *(f.dim for f in features.side.values() if f.kind == "categorical")]

    def columns_read(self) -> list[Input]:
        features, history = self.din_config.features, bool(self.sequences)
        return raw_columns(features, history) if self.vocabularies else id_columns(features, self.vocabulary_sizes, history)

    def prepare_fit(self, features: dict[str, Any] | None, weighted: bool) -> None:
        """Counts ids for the regularisation, and says which settings of the configuration only the pipeline follows."""
        settings = self.din_config
        if settings.training.regularization:
            if features is None:
                raise ValueError("training.regularization needs to know how often each id occurs: give fit columns instead of a data set")
            self._count_ids(features)
        if settings.features.weight and not weighted:
            raise ValueError(f"the configuration weights impressions by {settings.features.weight!r}: give it to fit as sample_weight")
        if settings.training.negative_rate < 1:
            warnings.warn(
                f"training.negative_rate is {settings.training.negative_rate}, and fit does not sample: give it data in which only this "
                "share of the negatives is left, or probabilities are too low",
                stacklevel=3,
            )
        if settings.training.warm_start != "none":
            warnings.warn("Only the pipeline follows training.warm_start: give fit a model with the weights to start from", stacklevel=3)
        files = [name for name, vocabulary in settings.features.vocabularies.items() if vocabulary.embeddings]
        if files:
            warnings.warn(f"Only the pipeline reads initial embeddings: those of {', '.join(files)} start at random", stacklevel=3)

    def _count_ids(self, features: dict[str, Any]) -> None:
        """Gives the tables the number of occurrences of each known id."""
        ids = self.vocabularies(features) if self.vocabularies else features
        definition = self.din_config.features
        for name, vocabulary in definition.vocabularies.items():
            size = self.vocabulary_sizes[name]
            fed = [np.ravel(ids[raw]) for raw, own in definition.vocabulary_by_feature.items() if own == name and raw in ids]
            counts = np.bincount(np.concatenate(fed), minlength=size)
            counts[PADDING_ID] = counts[size - vocabulary.oov_buckets :] = 0
            for table in self.tables_of(name):
                table.counts.assign(counts)

    def call(self, features: dict[str, Any], training: bool = False) -> Any:
        if self.vocabularies:
            features = self.vocabularies(features)
        logits = self.score(self.without_padding(features), training)
        return self.shift_for_sampling(logits, training)

    def score(self, inputs: ModelInputs, training: bool = False) -> Any:
        """The forward pass to the logits: (B,), or (B · N,) for N candidates an impression, whose history is then embedded once."""
        raise NotImplementedError

    @tf.function(reduce_retracing=True, autograph=False)
    def infer(self, features: dict[str, Any]) -> Any:
        """The logits at inference, as a graph that is traced once."""
        return self(features, training=False)

    def shift_for_sampling(self, logits: Any, training: bool) -> Any:
        """Adds log(1 / rate) to the logits in training on data of which only this share of the negatives is kept.

        A model that is fitted with this shift gives calibrated probabilities without it (He et al., 2014, section 6.3, in logits).
        """
        rate = self.din_config.training.negative_rate
        return logits - ops.log(rate) if training and rate < 1 else logits

    def without_padding(self, features: dict[str, Any]) -> ModelInputs:
        """Takes the padding out of the histories."""
        config = self.din_config.features
        ids = {behaviour.candidate: features[behaviour.candidate] for behaviour in config.behaviours.values()}
        rows, dense = {}, {}
        for number, behaviours in enumerate(self.sequences.values()):
            positions = flatten_events(features[next(iter(behaviours.values())).history])  # (E, 2)
            for behaviour in behaviours.values():
                ids[behaviour.history] = tf.gather_nd(features[behaviour.history], positions)  # (B, L) -> (E,)
                rows[behaviour.history] = positions[:, 0]
            if number == 0 and config.time_gap:
                dense[TIME_GAPS] = ops.expand_dims(tf.gather_nd(features[TIME_GAPS], positions), 1)
                rows[TIME_GAPS] = positions[:, 0]
        side = config.side
        ids |= {name: features[name] for name, feature in side.items() if feature.kind == "categorical"}
        dense |= {name: ops.expand_dims(features[name], 1) for name, feature in side.items() if feature.kind == "numeric"}
        return ModelInputs(ids, rows, {}, dense)

    def look_up(self, inputs: ModelInputs, training: bool) -> dict[str, Any]:
        """Returns the embeddings of all ids by raw name: the ids' shape, then D. Each table is read once."""
        vocabulary_by_feature = self.din_config.features.vocabulary_by_feature
        embedded: dict[str, Any] = {}
        for name, table in self.tables.items():
            fed = [raw for raw, vocabulary in vocabulary_by_feature.items() if vocabulary == name and raw in inputs.ids]
            embedded |= zip(fed, table([inputs.ids[raw] for raw in fed], training=training), strict=True)
        return embedded

    def numbers(self, inputs: ModelInputs) -> list[Any]:
        """The numbers of users and contexts: (B, 1) each."""
        return [inputs.dense[name] for name in self.din_config.features.side if name in inputs.dense]

    def candidate_fields(self, embedded: dict[str, Any]) -> dict[str, Any]:
        """The candidate's embeddings by raw name: (B, D), or (B, N, D)."""
        return {b.candidate: embedded[b.candidate] for b in self.din_config.features.behaviours.values()}

    def side_fields(self, embedded: dict[str, Any]) -> list[Any]:
        """The embeddings of user and context features: (B, D) each."""
        return [embedded[name] for name in self.din_config.features.side if name in embedded]

    def histories(self, inputs: ModelInputs, embedded: dict[str, Any]) -> dict[str, History]:
        """The embedded histories of each sequence, those of its behaviours side by side."""
        result = {}
        for number, (sequence, behaviours) in enumerate(self.sequences.items()):
            query = ops.concatenate([embedded[b.candidate] for b in behaviours.values()], axis=-1)  # (B, D) or (B, N, D)
            keys = ops.concatenate([embedded[b.history] for b in behaviours.values()], axis=-1)  # (E, D)
            rows = inputs.rows[next(iter(behaviours.values())).history]
            result[sequence] = History(query, keys, rows, inputs.dense.get(TIME_GAPS) if number == 0 else None)
        return result

    def tables_of(self, vocabulary: str) -> list[EmbeddingTable]:
        """The embedding tables with a row for each value of a vocabulary."""
        return [self.tables[vocabulary]]

    def dense_chains(self) -> list[DenseChain]:
        """All places of the model where an activation stands between two linear layers."""
        return [self.mlp.dense_chain()]

    def get_config(self) -> dict[str, Any]:
        vocabularies = keras.saving.serialize_keras_object(self.vocabularies) if self.vocabularies else None
        config = self.din_config.model_dump(mode="json")
        return {"config": config, "vocabulary_sizes": self.vocabulary_sizes, "vocabularies": vocabularies, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RankingModel":
        vocabularies = keras.saving.deserialize_keras_object(config["vocabularies"]) if config.get("vocabularies") else None
        return cls(**{**config, "config": DINConfig.model_validate(config["config"]), "vocabularies": vocabularies})


def _table_rows(name: str, size: Any) -> int:
    """The size of a table as an int; NumPy's own integers could not be saved with the model."""
    if not hasattr(size, "__index__") or size < 2:
        raise ValueError(f"vocabulary_sizes says that {name!r} has {size!r} rows; a table has 2 or more, row 0 for padding")
    return operator.index(size)


def one_row_a_candidate(of_candidates: list[Any], of_impressions: list[Any]) -> list[Any]:
    """Brings all fields to one number of rows.

    Args:
        of_candidates: Fields (B, D), or (B, N, D) for N candidates an impression; at least one.
        of_impressions: Fields (B, D).

    Returns:
        All of them: (B, D) as they are, or (B · N, D), candidate by candidate.
    """
    first = of_candidates[0]
    if len(first.shape) == 2:
        return [*of_candidates, *of_impressions]
    count = tf.shape(first)[1]
    return [*(tf.reshape(x, [-1, x.shape[-1]]) for x in of_candidates), *(tf.repeat(x, count, axis=0) for x in of_impressions)]
