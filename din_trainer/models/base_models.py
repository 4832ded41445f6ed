"""The base models that the paper compares DIN with (section 6.3, table 3): LR, Wide&Deep, PNN and DeepFM; the base model is in `base`.

They sum up each history, whatever the candidate is. As in the authors' code, they multiply embeddings: the wide part of Wide&Deep reads the
product of candidate and interest. All of them read features of all kinds.
"""

from itertools import combinations
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from din_trainer.layers.dense_chain import DenseChain
from din_trainer.layers.embedding_table import EmbeddingTable
from din_trainer.models.base import Base, Projection
from din_trainer.models.linear import Linear
from din_trainer.models.model_inputs import ModelInputs
from din_trainer.models.ranking_model import RankingModel


@keras.saving.register_keras_serializable("din_trainer")
class LogisticRegression(RankingModel):
    """LR: no embeddings and no MLP."""

    def make_layers(self) -> None:
        self.make_tables(self.position_biases)
        self.linear = Linear(self.din_config, self.embedder, self.table_sizes, name="linear")

    def tables_of(self, name: str) -> list[EmbeddingTable]:
        return [*super().tables_of(name), *filter(None, [self.linear.tables.get(name)])]

    def build(self, input_shape: Any = None) -> None:
        self.build_tables()
        self.linear.build()

    def score(self, inputs: ModelInputs, training: bool = False) -> Any:
        logits = self.as_logits(self.linear(inputs, training=training))
        return self.with_positions(logits, self.embedder.look_up(inputs, self.tables, training))

    def input_kernels(self) -> list[Any]:
        return []

    def dense_chains(self) -> list[DenseChain]:
        return []


class _WithLinear(Base):
    """A base model with a linear part."""

    def make_layers(self) -> None:
        super().make_layers()
        self.linear = Linear(self.din_config, self.embedder, self.table_sizes, name="linear")

    def tables_of(self, name: str) -> list[EmbeddingTable]:
        return [*super().tables_of(name), *filter(None, [self.linear.tables.get(name)])]

    def build(self, input_shape: Any = None) -> None:
        super().build()
        self.linear.build()


@keras.saving.register_keras_serializable("din_trainer")
class WideDeep(_WithLinear):
    """Wide&Deep (Cheng et al., 2016): the base model's logit plus a linear one on all values and on candidate ⊙ interest."""

    def make_layers(self) -> None:
        super().make_layers()
        self.product = keras.layers.Dense(len(self.din_config.features.labels), use_bias=False, name="product")

    def build(self, input_shape: Any = None) -> None:
        super().build()
        features = self.din_config.features
        if self.sequences:
            self.product.build((None, sum(features.vocabulary_of(name).dim for b in self.sequences.values() for name in b)))

    def shallow(self, inputs: ModelInputs, fields: dict[str, Any], x: Any, training: bool) -> Any:
        logits = self.as_logits(self.linear(inputs, training=training))
        behaviours = [b for s in self.sequences.values() for b in s.values()]
        if not behaviours:
            return logits
        products = [fields[b.history] * fields[b.candidate] for b in behaviours]
        return logits + self.as_logits(self.product(ops.concatenate(products, axis=-1)))


@keras.saving.register_keras_serializable("din_trainer")
class PNN(Base):
    """Product-based network (Qu et al., 2016), with inner products: the MLP also reads the products of all pairs of embeddings."""

    def make_layers(self) -> None:
        super().make_layers()
        sizes = list(self.embedded_inputs().values())
        self.projection = Projection(sizes, name="projection")
        self._pairs = list(combinations(range(len(sizes)), 2))

    def build(self, input_shape: Any = None) -> None:
        super().build()
        self.projection.build()

    def mlp_width(self) -> int:
        return super().mlp_width() + len(self._pairs)

    def cross(self, fields: dict[str, Any]) -> list[Any]:
        x = self.projection(self.stacked(fields))  # (B, F, D)
        left, right = (tf.gather(x, [pair[i] for pair in self._pairs], axis=1) for i in (0, 1))
        return [ops.sum(left * right, axis=-1)]  # (B, pairs)


@keras.saving.register_keras_serializable("din_trainer")
class DeepFM(_WithLinear):
    """DeepFM (Guo et al., 2017): the base model's logit plus that of a factorization machine on the same embeddings.

    With several labels, each weighs the products by their place in the embedding, so that labels differ. The weights start at 1.
    """

    def make_layers(self) -> None:
        super().make_layers()
        self.projection = Projection(list(self.embedded_inputs().values()), name="projection")
        labels = len(self.labels)
        self.products = keras.layers.Dense(labels, use_bias=False, kernel_initializer="ones", name="products") if labels > 1 else None

    def build(self, input_shape: Any = None) -> None:
        super().build()
        self.projection.build()
        if self.products is not None:
            self.products.build((None, next(iter(self.embedded_inputs().values()))))

    def shallow(self, inputs: ModelInputs, fields: dict[str, Any], x: Any, training: bool) -> Any:
        vectors = self.projection(self.stacked(fields))  # (B, F, D)
        # twice the sum of the pairs' products, (B, D)
        pairs = ops.square(ops.sum(vectors, axis=1)) - ops.sum(ops.square(vectors), axis=1)
        products = 0.5 * (ops.sum(pairs, axis=-1, keepdims=True) if self.products is None else self.products(pairs))
        return self.as_logits(self.linear(inputs, training=training) + products)
