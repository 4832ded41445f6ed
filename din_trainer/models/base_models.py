"""The base models that the paper compares DIN with (section 6.3, table 3): LR, the base model, Wide&Deep, PNN and DeepFM.

They sum up each history, whatever the candidate is. As in the authors' code, they multiply embeddings: the wide part of Wide&Deep reads the
product of candidate and interest.
"""

from itertools import combinations
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from din_trainer.config import DINConfig
from din_trainer.layers.dense_chain import DenseChain
from din_trainer.layers.embedding_table import EmbeddingTable
from din_trainer.layers.events import rows_of, sum_by_row
from din_trainer.models.fields import Fields
from din_trainer.models.model_inputs import History, ModelInputs
from din_trainer.models.ranking_model import RankingModel, one_row_a_candidate


@keras.saving.register_keras_serializable("din_trainer")
class Linear(keras.layers.Layer):
    """Logistic regression on ids and numbers: the sum of one weight for each value, (B,), or (B · N,) for N candidates an impression.

    Every event of a history counts.
    """

    def __init__(
        self, sizes: dict[str, int], vocabulary_by_feature: dict[str, str], numbers: int, regularization: float, scale: float, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self._by_feature = vocabulary_by_feature
        self.tables = {name: EmbeddingTable(size, 1, regularization, scale, name=f"weights_{name}") for name, size in sizes.items()}
        self._numbers = numbers

    def build(self, input_shape: Any = None) -> None:
        for table in self.tables.values():
            table.build()
        if self._numbers:
            self.number_weights = self.add_weight(name="number_weights", shape=(self._numbers, 1), initializer="zeros")
        self.bias = self.add_weight(name="bias", shape=(), initializer="zeros")

    def call(self, inputs: ModelInputs, training: bool = False) -> Any:
        by_candidate = [name for name, ids in inputs.ids.items() if len(ids.shape) == 2]
        count = ops.shape(next(ids for name, ids in inputs.ids.items() if name not in inputs.rows))[0]
        total = self.bias
        for vocabulary, table in self.tables.items():
            fed = [name for name in inputs.ids if self._by_feature[name] == vocabulary]
            for name, weights in zip(fed, table([inputs.ids[name] for name in fed], training=training), strict=True):
                if name in by_candidate:
                    weights = ops.squeeze(weights, -1)  # (B, N); all others are (B, 1)
                total += sum_by_row(weights, inputs.rows[name], count) if name in inputs.rows else weights
        if self._numbers:
            total += ops.matmul(
                ops.concatenate([x for name, x in inputs.dense.items() if name not in inputs.rows], axis=1), self.number_weights
            )
        return ops.reshape(total, (-1,))


def _linear(config: DINConfig, sizes: dict[str, int]) -> Linear:
    features = config.features
    numbers = sum(feature.kind == "numeric" for feature in features.side.values())
    own = {name: sizes[name] for name in features.vocabularies}
    return Linear(own, features.vocabulary_by_feature, numbers, config.training.regularization, config.model.embedding_scale, name="linear")


class Projection(keras.layers.Layer):
    """Brings fields to the size of the first one, so that they can be multiplied: (B, D_i) each -> (B, F, D).

    A field of another size goes through a matrix.
    """

    def __init__(self, sizes: list[int], **kwargs: Any):
        super().__init__(**kwargs)
        self._sizes = sizes
        self.matrices = [
            None if size == sizes[0] else keras.layers.Dense(sizes[0], use_bias=False, name=f"field_{i}") for i, size in enumerate(sizes)
        ]

    def build(self, input_shape: Any = None) -> None:
        for size, matrix in zip(self._sizes, self.matrices, strict=True):
            if matrix is not None:
                matrix.build((None, size))

    def call(self, fields: list[Any]) -> Any:
        return ops.stack([x if m is None else m(x) for x, m in zip(fields, self.matrices, strict=True)], axis=1)


@keras.saving.register_keras_serializable("din_trainer")
class LogisticRegression(RankingModel):
    """LR: no embeddings and no MLP."""

    def make_layers(self) -> None:
        self.tables = {}
        self.linear = _linear(self.din_config, self.vocabulary_sizes)

    def tables_of(self, vocabulary: str) -> list[EmbeddingTable]:
        return [self.linear.tables[vocabulary]]

    def build(self, input_shape: Any = None) -> None:
        self.linear.build()

    def score(self, inputs: ModelInputs, training: bool = False) -> Any:
        return self.linear(inputs, training=training)

    def dense_chains(self) -> list[DenseChain]:
        return []


@keras.saving.register_keras_serializable("din_trainer")
class Base(RankingModel):
    """Embedding, sum pooling, MLP (figure 2, left). The models below add inputs to its MLP (`cross`) or a term to its logit (`shallow`)."""

    def score(self, inputs: ModelInputs, training: bool = False) -> Any:
        fields = self.fields(inputs, self.look_up(inputs, training))  # (B, D) each
        x = ops.concatenate([*fields.candidate.values(), *fields.pooled, *fields.side, *fields.numbers, *self.cross(fields)], axis=-1)
        return self.mlp(x, training=training) + self.shallow(inputs, fields, training)  # (B,)

    def cross(self, fields: Fields) -> list[Any]:
        """Further inputs of the MLP, each (B, any)."""
        return []

    def shallow(self, inputs: ModelInputs, fields: Fields, training: bool) -> Any:
        """What is added to the MLP's logit: (B,), or (B · N,) for N candidates."""
        return 0.0

    def fields(self, inputs: ModelInputs, embedded: dict[str, Any]) -> Fields:
        """Sums up the histories, and brings all fields to one row an impression, or one a candidate."""
        candidate, side = self.candidate_fields(embedded), self.side_fields(embedded)
        pooled = [sum_pool(history) for history in self.histories(inputs, embedded).values()]
        flat = iter(one_row_a_candidate([*candidate.values(), *pooled], [*side, *self.numbers(inputs)]))
        candidate = {name: next(flat) for name in candidate}
        pooled, side, numbers = [next(flat) for _ in pooled], [next(flat) for _ in side], list(flat)
        interest: dict[str, Any] = {}
        for behaviours, x in zip(self.sequences.values(), pooled, strict=True):
            parts = tf.split(x, [self.din_config.features.vocabulary_of(name).dim for name in behaviours], axis=-1)
            interest |= zip((b.history for b in behaviours.values()), parts, strict=True)
        return Fields(candidate, interest, pooled, side, numbers)


def sum_pool(history: History) -> Any:
    """Equation 1: the sum of each history's events, zero for an empty one. (B, D), or (B, N, D), the same for each candidate."""
    interest = sum_by_row(history.keys, history.rows, rows_of(history.query))
    return interest if len(history.query.shape) == 2 else tf.broadcast_to(interest[:, None], tf.shape(history.query))


@keras.saving.register_keras_serializable("din_trainer")
class WideDeep(Base):
    """Wide&Deep (Cheng et al., 2016): the base model's logit plus a linear one on ids and on candidate ⊙ interest."""

    def make_layers(self) -> None:
        super().make_layers()
        self.linear = _linear(self.din_config, self.vocabulary_sizes)
        self.product = keras.layers.Dense(1, use_bias=False, name="product")

    def tables_of(self, vocabulary: str) -> list[EmbeddingTable]:
        return [*super().tables_of(vocabulary), self.linear.tables[vocabulary]]

    def build(self, input_shape: Any = None) -> None:
        super().build()
        self.linear.build()
        features = self.din_config.features
        if self.sequences:
            self.product.build((None, sum(features.vocabulary_of(name).dim for b in self.sequences.values() for name in b)))

    def shallow(self, inputs: ModelInputs, fields: Fields, training: bool) -> Any:
        linear = self.linear(inputs, training=training)
        if not fields.interest:
            return linear
        behaviours = [b for s in self.sequences.values() for b in s.values()]
        products = [fields.interest[b.history] * fields.candidate[b.candidate] for b in behaviours]
        return linear + ops.squeeze(self.product(ops.concatenate(products, axis=-1)), -1)


@keras.saving.register_keras_serializable("din_trainer")
class PNN(Base):
    """Product-based network (Qu et al., 2016), with inner products: the MLP also reads the products of all pairs of fields."""

    def make_layers(self) -> None:
        super().make_layers()
        self.projection = Projection(self.field_sizes(), name="projection")
        self._pairs = list(combinations(range(len(self.field_sizes())), 2))

    def build(self, input_shape: Any = None) -> None:
        super().build()
        self.projection.build()

    def mlp_width(self) -> int:
        return super().mlp_width() + len(self._pairs)

    def cross(self, fields: Fields) -> list[Any]:
        x = self.projection(fields.embedded)  # (B, F, D)
        left, right = (tf.gather(x, [pair[i] for pair in self._pairs], axis=1) for i in (0, 1))
        return [ops.sum(left * right, axis=-1)]  # (B, pairs)


@keras.saving.register_keras_serializable("din_trainer")
class DeepFM(Base):
    """DeepFM (Guo et al., 2017): the base model's logit plus that of a factorization machine on the same embeddings."""

    def make_layers(self) -> None:
        super().make_layers()
        self.linear = _linear(self.din_config, self.vocabulary_sizes)
        self.projection = Projection(self.field_sizes(), name="projection")

    def tables_of(self, vocabulary: str) -> list[EmbeddingTable]:
        return [*super().tables_of(vocabulary), self.linear.tables[vocabulary]]

    def build(self, input_shape: Any = None) -> None:
        super().build()
        self.linear.build()
        self.projection.build()

    def shallow(self, inputs: ModelInputs, fields: Fields, training: bool) -> Any:
        x = self.projection(fields.embedded)  # (B, F, D)
        pairs = ops.square(ops.sum(x, axis=1)) - ops.sum(ops.square(x), axis=1)  # twice the sum of the pairs' products, (B, D)
        return self.linear(inputs, training=training) + 0.5 * ops.sum(pairs, axis=-1)
