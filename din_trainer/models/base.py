"""The base model of the paper (figure 2, left), and the frame of all models that sum up histories."""

from typing import Any

import keras
from keras import ops

from din_trainer.models.model_inputs import ModelInputs
from din_trainer.models.ranking_model import RankingModel


@keras.saving.register_keras_serializable("din_trainer")
class Base(RankingModel):
    """Embedding, sum pooling (equation 1), MLP. Subclasses add inputs to its MLP (`cross`) or a term to its logit (`shallow`)."""

    def score(self, inputs: ModelInputs, training: bool = False) -> Any:
        embedded = self.look_up(inputs, training)
        fields = self.embedder.one_row_a_candidate(inputs, {x.name: embedded[x.name] for x in self.mlp_inputs})  # (B, D) each
        x = ops.concatenate([*fields.values(), *self.cross(fields)], axis=-1)
        logits = self.mlp(x, training=training) + self.shallow(inputs, fields, x, training)  # (B,)
        return self.with_positions(logits, embedded)

    def cross(self, fields: dict[str, Any]) -> list[Any]:
        """Further inputs of the MLP, each (B, any)."""
        return []

    def shallow(self, inputs: ModelInputs, fields: dict[str, Any], x: Any, training: bool) -> Any:
        """What is added to the MLP's logits: of their shape.

        Args:
            inputs: The batch.
            fields: The inputs of the MLP by name, one row a candidate.
            x: All inputs of the MLP, side by side.
            training: Whether this is a step of training.
        """
        return 0.0

    def embedded_inputs(self) -> dict[str, int]:
        """The sizes of the inputs that are embeddings, by name."""
        return {x.name: x.width for x in self.mlp_inputs if x.is_embedded}

    def stacked(self, fields: dict[str, Any]) -> list[Any]:
        """The fields that are embeddings."""
        return [fields[name] for name in self.embedded_inputs()]


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
