"""Logistic regression on all features: the model `lr`, and the linear part of `wide_deep` and `deepfm`."""

from typing import Any

import keras
from keras import ops

from din_trainer.config import DINConfig
from din_trainer.features import FeatureConfig
from din_trainer.layers.split_table import table_class
from din_trainer.models.embedder import Embedder
from din_trainer.models.mlp_inputs import is_dense, raw_width
from din_trainer.models.model_inputs import ModelInputs


@keras.saving.register_keras_serializable("din_trainer")
class Linear(keras.layers.Layer):
    """The sum of one weight for each value: (B, labels), or (B · N, labels) for N candidates an impression.

    Every event of a history counts. Tags count as their kind combines them. A vector has a weight for each of its numbers.

    Args:
        config: The model.
        embedder: Knows which features the model reads.
        sizes: Rows by table.
    """

    def __init__(self, config: DINConfig, embedder: Embedder, sizes: dict[str, int], **kwargs: Any):
        super().__init__(**kwargs)
        features = config.features
        self._embedder, self._outputs = embedder, len(features.labels)
        by_bias = [name for name, position in features.position.items() if position.tower == "shallow"]
        decay, scale = config.training.regularization, config.model.embedding_scale
        self.tables = {
            name: table_class(sizes[name], config.training.split_rows)(
                sizes[name], self._outputs, decay * (name in features.vocabularies), scale, name=f"weights_{name}"
            )
            for name in embedder.names
            if name not in by_bias  # it has a weight in the model itself
        }
        self.numbers = numbers_read(features, embedder)

    def build(self, input_shape: Any = None) -> None:
        for table in self.tables.values():
            table.build()
        if self.numbers:
            shape = (sum(self.numbers.values()), self._outputs)
            self.number_weights = self.add_weight(name="number_weights", shape=shape, initializer="zeros")
        self.bias = self.add_weight(name="bias", shape=() if self._outputs == 1 else (self._outputs,), initializer="zeros")

    def call(self, inputs: ModelInputs, training: bool = False) -> Any:
        weights = self._embedder.look_up(inputs, self.tables, training)
        numbers = {name: inputs.dense[name] for name in self.numbers}
        terms = self._embedder.one_row_a_candidate(inputs, {**weights, **numbers})  # (B · N, labels), or (B · N, width) of numbers
        total = self.bias
        for name in weights:
            total += terms[name]
        if numbers:
            total += ops.matmul(ops.concatenate([terms[name] for name in numbers], axis=1), self.number_weights)
        return total


def numbers_read(features: FeatureConfig, embedder: Embedder) -> dict[str, int]:
    """How many numbers each feature of numbers has, by its name after Transform: those of events, candidates, users and contexts."""
    events = {name: field for fields in embedder.event_fields.values() for name, field in fields.items()}
    return {name: raw_width(f) for name, f in {**events, **features.own, **features.side}.items() if is_dense(f)}
