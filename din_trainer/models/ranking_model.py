"""What all models share: their inputs, embedding tables and MLP, the look-up of embeddings, and saving.

B impressions a batch, E events in all of their histories, N candidates an impression, D the size of a field.
"""

import operator
import warnings
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from din_trainer.config import DINConfig, of_earlier_release
from din_trainer.feature_parts import Behaviour
from din_trainer.features import PADDING_ID
from din_trainer.layers.dense_chain import DenseChain
from din_trainer.layers.embedding_table import EmbeddingTable
from din_trainer.layers.esmm import product_logits
from din_trainer.layers.products import products_in
from din_trainer.layers.split_table import table_class
from din_trainer.models.checked_data import Input
from din_trainer.models.columns_read import id_columns, raw_columns
from din_trainer.models.embedder import Embedder
from din_trainer.models.labels_loss import LabelsLoss, weights_by_label
from din_trainer.models.logits_model import LogitsModel
from din_trainer.models.mlp_inputs import mlp_inputs
from din_trainer.models.model_inputs import History, ModelInputs
from din_trainer.models.output_layer import make_output_layer
from din_trainer.models.vocabularies import Vocabularies
from din_trainer.models.without_padding import without_padding


class RankingModel(LogitsModel):
    """Click-through-rate model: transformed features in, logits out. A subclass defines the forward pass, `score`.

    Args:
        config: Features and sizes.
        vocabulary_sizes: Embedding rows by vocabulary name: padding, the known values and the out-of-vocabulary buckets.
        vocabularies: If given, the model reads raw features, and these turn them into transformed ones.

    Call arguments:
        features: Dict of transformed features by raw name: ids (B,) and histories (B, L) as int64, numeric features (B,) as float32.
            Outside a graph, all that `check_features` reads.

    Output shape: (B,), logits; the click probability is their sigmoid. With several labels (B, labels). In training on down-sampled
        negatives, the first label's are those of the sampled data.

    Raises:
        ValueError: A vocabulary of the configuration has no size, or one that no table can have.
    """

    def __init__(self, config: DINConfig, vocabulary_sizes: dict[str, int], vocabularies: Vocabularies | None = None, **kwargs: Any):
        super().__init__(labels=config.features.labels, **kwargs)
        missing = sorted(set(config.features.vocabularies) - set(vocabulary_sizes))
        if missing:
            raise ValueError(f"vocabulary_sizes lacks {', '.join(missing)}; received {sorted(vocabulary_sizes)}")
        self.din_config = config
        self.vocabulary_sizes = {name: _table_rows(name, size) for name, size in vocabulary_sizes.items()}
        self.vocabularies = vocabularies
        self.sequences: dict[str, dict[str, Behaviour]] = config.features.sequences if config.model.history else {}
        self.mlp_inputs = mlp_inputs(config.features, config.model.history, config.model.interactions_read)
        self.embedder = Embedder(config.features, config.model.history)
        self.table_sizes = {name: table.rows or self.vocabulary_sizes[name] for name, table in config.features.tables.items()}
        self.position_biases = [name for name, position in config.features.position.items() if position.tower == "shallow"]
        self.make_layers()

    def make_layers(self) -> None:
        """Makes the model's layers; the constructor calls it once."""
        self.make_tables(self.embedder.names)
        self.mlp = make_output_layer(self.din_config)
        vectors = {name: feature for name, feature in self.embedder.vectors.items() if feature.units}
        self.vectors = {name: keras.layers.Dense(feature.units, "relu", name=f"vector_{name}") for name, feature in vectors.items()}

    def make_tables(self, names: Iterable[str]) -> None:
        """Makes the embedding tables with some names. A position that is a bias has one number for each label."""
        features, settings = self.din_config.features, self.din_config
        self.tables = {
            name: table_class(self.table_sizes[name], settings.training.split_rows)(
                self.table_sizes[name],
                len(features.labels) if name in self.position_biases else features.tables[name].dim,
                settings.training.regularization * (name in features.vocabularies),  # other tables have no counts
                settings.model.embedding_scale,
                trainable=features.tables[name].trainable,
                name=f"embedding_{name}",
            )
            for name in names
        }

    def build(self, input_shape: Any = None) -> None:
        """Makes every weight at once, so that a reloaded model lacks none."""
        self.build_tables()
        self.mlp.build((None, self.mlp_width()))
        for name, layer in self.vectors.items():
            layer.build((None, self.embedder.vectors[name].size))

    def build_tables(self) -> None:
        """Makes the weights of the embedding tables."""
        for table in self.tables.values():
            table.build()

    def mlp_width(self) -> int:
        """The size of the MLP's input."""
        return sum(x.width for x in self.mlp_inputs)

    def columns_read(self) -> list[Input]:
        features, history = self.din_config.features, bool(self.sequences)
        return raw_columns(features, history) if self.vocabularies else id_columns(features, self.vocabulary_sizes, history)

    @property
    def label_weights(self) -> tuple[float, ...]:
        """The weight of each label in the loss."""
        return tuple(self.din_config.training.label_weights.get(label, 1.0) for label in self.labels)

    def log_loss(self) -> keras.losses.Loss:
        return LabelsLoss(self.label_weights) if len(self.labels) > 1 else super().log_loss()

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True) -> Any:
        if isinstance(self.loss, LabelsLoss):
            sample_weight = weights_by_label(y, sample_weight, self.din_config.training.negative_rate if training else 1.0)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

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
            if not self.tables_of(name):  # only events have it, and the model does not read them
                continue
            size = self.vocabulary_sizes[name]
            fed = [np.ravel(ids[raw]) for raw, own in definition.vocabulary_by_feature.items() if own == name and raw in ids]
            counts = np.bincount(np.concatenate(fed), minlength=size)
            counts[PADDING_ID] = counts[size - vocabulary.oov_buckets :] = 0
            for table in self.tables_of(name):
                table.counts.assign(counts)

    def call(self, features: dict[str, Any], training: bool = False) -> Any:
        if self.vocabularies:
            features = self.vocabularies(features)
        with products_in(self.din_config.training.precision if training else "float32"):
            logits = self.logits(self.without_padding(features), training)
        return self.shift_for_sampling(logits, training)

    def logits(self, inputs: ModelInputs, training: bool = False) -> Any:
        """The labels' logits: as `score`, and with ESMM those of the products."""
        logits = self.score(inputs, training)
        return product_logits(logits) if self.din_config.model.esmm else logits

    def score(self, inputs: ModelInputs, training: bool = False) -> Any:
        """The forward pass to the logits: (B,), or with several labels one column for each, (B, labels).

        For N candidates an impression, whose history is then embedded once, B is B · N.
        """
        raise NotImplementedError

    @tf.function(reduce_retracing=True, autograph=False)
    def infer(self, features: dict[str, Any]) -> Any:
        """The logits at inference, as a graph that is traced once."""
        return self(features, training=False)

    def shift_for_sampling(self, logits: Any, training: bool) -> Any:
        """Adds log(1 / rate) to the logits in training on data of which only this share of the negatives is kept.

        A model that is fitted with this shift gives calibrated probabilities without it (He et al., 2014, section 6.3, in logits).
        Of several labels, the first is the one that decides what is kept. For the others `weights_by_label` weighs the rows.
        """
        rate, labels = self.din_config.training.negative_rate, len(self.labels)
        if not training or rate == 1:
            return logits
        shift = ops.log(rate)
        return logits - shift if labels == 1 else logits - ops.one_hot(0, labels) * shift

    def without_padding(self, features: dict[str, Any]) -> ModelInputs:
        """Takes the padding out of histories and tags."""
        return without_padding(self.din_config.features, features, bool(self.sequences))

    def look_up(self, inputs: ModelInputs, training: bool) -> dict[str, Any]:
        """Returns all features that the model reads, by name: embeddings, numbers and vectors. Each table is read once.

        Returns:
            (B, D) each, (B, N, D) of N candidates, (E, D) of events.
        """
        dense = {name: inputs.dense[name] for name in self.embedder.numbers}
        vectors = {name: layer(inputs.dense[name]) for name, layer in self.vectors.items()}
        return {**self.embedder.look_up(inputs, self.tables, training), **dense, **vectors}

    def histories(self, inputs: ModelInputs, embedded: dict[str, Any]) -> dict[str, History]:
        """The embedded histories of each sequence, those of its behaviours side by side, and its further fields."""
        result = {}
        for sequence, behaviours in self.sequences.items():
            query = ops.concatenate([embedded[b.candidate] for b in behaviours.values()], axis=-1)  # (B, D) or (B, N, D)
            keys = ops.concatenate([embedded[b.history] for b in behaviours.values()], axis=-1)  # (E, D)
            fields = [embedded[name] for name in self.embedder.event_fields[sequence]]
            rows = inputs.rows[next(iter(behaviours.values())).history]
            result[sequence] = History(query, keys, rows, ops.concatenate(fields, axis=-1) if fields else None)
        return result

    def in_order(self, fields: dict[str, Any], interests: dict[str, list[Any]]) -> list[Any]:
        """The inputs of the MLP.

        Args:
            fields: All fields by name.
            interests: By sequence, what the MLP reads of its events.
        """
        result = []
        for sequence, inputs in groupby(self.mlp_inputs, lambda x: x.sequence):
            result += interests[sequence] if sequence else [fields[x.name] for x in inputs]
        return result

    def history_sizes(self) -> dict[str, tuple[int, int]]:
        """The size of the keys of each sequence, and that of the further fields of its events."""
        features, widths = self.din_config.features, {x.name: x.width for x in self.mlp_inputs}
        return {
            sequence: (
                sum(features.vocabulary_of(name).dim for name in behaviours),
                sum(widths[name] for name in self.embedder.event_fields[sequence]),
            )
            for sequence, behaviours in self.sequences.items()
        }

    def as_logits(self, x: Any) -> Any:
        """(B, labels) in the form of the logits: (B,) if there is one label."""
        return x if len(self.din_config.features.labels) > 1 else ops.squeeze(x, -1)

    def with_positions(self, logits: Any, embedded: dict[str, Any]) -> Any:
        """Adds the biases of the positions that do not go through the MLP."""
        for name in self.position_biases:
            bias = embedded[name]  # (B, labels), or (B, N, labels)
            logits += self.as_logits(ops.reshape(bias, (-1, bias.shape[-1])))
        return logits

    def tables_of(self, name: str) -> list[EmbeddingTable]:
        """The embedding tables with the rows of a table of `features.tables`: of different sizes, none if the model does not read it."""
        return [self.tables[name]] if name in self.tables else []

    def input_kernels(self) -> list[Any]:
        """The kernels that read the inputs of the MLP."""
        return list(self.mlp.input_kernels())

    def dense_chains(self) -> list[DenseChain]:
        """All places of the model where an activation stands between two linear layers."""
        return self.mlp.dense_chains()

    def get_config(self) -> dict[str, Any]:
        vocabularies = keras.saving.serialize_keras_object(self.vocabularies) if self.vocabularies else None
        config = self.din_config.model_dump(mode="json")
        return {"config": config, "vocabulary_sizes": self.vocabulary_sizes, "vocabularies": vocabularies, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RankingModel":
        vocabularies = keras.saving.deserialize_keras_object(config["vocabularies"]) if config.get("vocabularies") else None
        return cls(**{**config, "config": DINConfig.model_validate(of_earlier_release(config["config"])), "vocabularies": vocabularies})


def _table_rows(name: str, size: Any) -> int:
    """The size of a table as an int; NumPy's own integers could not be saved with the model."""
    if not hasattr(size, "__index__") or size < 2:
        raise ValueError(f"vocabulary_sizes says that {name!r} has {size!r} rows; a table has 2 or more, row 0 for padding")
    return operator.index(size)
