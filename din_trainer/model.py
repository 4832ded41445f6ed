"""The Deep Interest Network, whole, in reading order (arXiv 1706.06978v4, figure 2).

B impressions a batch, L events a history, D = the behaviours' embedding sizes added up.
"""

from typing import Any

import keras
from keras import ops

from din_trainer.config import DINConfig
from din_trainer.features import PADDING_ID
from din_trainer.layers import AttentionUnit, activate, make_activation


def mean_pooling(keys: Any, mask: Any) -> Any:
    """The average of the real events, zero for an empty history: (B, L, D), (B, L) -> (B, D)."""
    weight = ops.expand_dims(ops.cast(mask, keys.dtype), -1)  # (B, L, 1)
    return ops.sum(keys * weight, axis=1) / ops.maximum(ops.sum(weight, axis=1), 1.0)


@keras.saving.register_keras_serializable("din_trainer")
class DIN(keras.Model):
    """Click-through-rate model: transformed features in, logits out.

    Args:
        config: Features and sizes.
        vocabulary_sizes: Embedding rows by vocabulary name: padding, the known values and the out-of-vocabulary buckets.

    Call arguments:
        features: Dict of transformed features by raw name: ids (B,) and histories (B, L) as int64, numeric features (B,) as float32.

    Output shape: (B,), logits; the click probability is their sigmoid.

    Raises:
        ValueError: A vocabulary of the configuration has no size.
    """

    def __init__(self, config: DINConfig, vocabulary_sizes: dict[str, int], **kwargs: Any):
        super().__init__(**kwargs)
        missing = sorted(set(config.features.vocabularies) - set(vocabulary_sizes))
        if missing:
            raise ValueError(f"vocabulary_sizes lacks {', '.join(missing)}; received {sorted(vocabulary_sizes)}")
        self.din_config = config
        self.vocabulary_sizes = dict(vocabulary_sizes)
        model = config.model
        self.embeddings = {
            name: keras.layers.Embedding(vocabulary_sizes[name], vocabulary.dim, name=f"embedding_{name}")
            for name, vocabulary in config.features.vocabularies.items()
        }
        self.attention = AttentionUnit(model.attention_hidden, model.activation, name="attention") if model.pooling == "attention" else None
        self.dense = [keras.layers.Dense(units, name=f"dense_{i}") for i, units in enumerate(model.hidden)]
        self.activations = [make_activation(model.activation, f"activation_{i}") for i in range(len(model.hidden))]
        self.dropouts = [keras.layers.Dropout(model.dropout, name=f"dropout_{i}") for i in range(len(model.hidden))]
        self.logit = keras.layers.Dense(1, name="logit")

    def build(self, input_shape: Any = None) -> None:
        """Makes every weight at once, so that a reloaded model lacks none."""
        features = self.din_config.features
        for embedding in self.embeddings.values():
            embedding.build((None,))
        d = sum(behaviour.dim for behaviour in features.behaviours.values())
        if self.attention is not None:
            self.attention.build((None, d), (None, None, d))
        width = d if self.din_config.model.pooling == "none" else 2 * d
        width += sum(1 if feature.kind == "numeric" else feature.dim for feature in features.side.values())
        for dense, activation in zip(self.dense, self.activations, strict=True):
            dense.build((None, width))
            width = dense.units
            activation.build((None, width))
        self.logit.build((None, width))

    def call(self, features: dict[str, Any], training: bool = False) -> Any:
        behaviours = self.din_config.features.behaviours
        query = self._concat_embeddings({name: features[b.candidate] for name, b in behaviours.items()})  # (B, D)
        parts = [query, *self._side(features)]
        if self.din_config.model.pooling != "none":
            histories = {name: features[b.history] for name, b in behaviours.items()}
            mask = ops.not_equal(next(iter(histories.values())), PADDING_ID)  # (B, L)
            keys = self._concat_embeddings(histories)  # (B, L, D)
            parts.append(self._interest(query, keys, mask, training))  # (B, D)
        x = ops.concatenate(parts, axis=-1)  # (B, width)
        for dense, activation, dropout in zip(self.dense, self.activations, self.dropouts, strict=True):
            x = dropout(activate(activation, dense(x), None, training), training=training)  # (B, units)
        return ops.squeeze(self.logit(x), -1)  # (B, 1) -> (B,)

    def _concat_embeddings(self, ids: dict[str, Any]) -> Any:
        return ops.concatenate([self.embeddings[name](values) for name, values in ids.items()], axis=-1)

    def _interest(self, query: Any, keys: Any, mask: Any, training: bool) -> Any:
        if self.attention is None:
            return mean_pooling(keys, mask)
        return self.attention(query, keys, mask, training=training)

    def _side(self, features: dict[str, Any]) -> list[Any]:
        """User and context features: embeddings (B, dim), numbers (B, 1)."""
        return [
            ops.expand_dims(features[name], -1) if feature.kind == "numeric" else self.embeddings[name](features[name])
            for name, feature in self.din_config.features.side.items()
        ]

    def get_config(self) -> dict[str, Any]:
        return {"config": self.din_config.model_dump(mode="json"), "vocabulary_sizes": self.vocabulary_sizes, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "DIN":
        return cls(**{**config, "config": DINConfig.model_validate(config["config"])})
