"""The Transform code: raw impressions to ids and numbers.

Ids after Transform: 0 is padding and nothing else, 1…V the vocabulary by falling frequency in train/, then the out-of-vocabulary buckets.
"""

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.config import FEATURES_KEY
from din_trainer.features import LABEL, PADDING_ID, Behaviour, FeatureConfig, SideFeature, Vocabulary


def missing_value(dtype: str) -> Any:
    """What stands for "no value" in a dense raw tensor: −1, the empty string or NaN."""
    return {"int64": -1, "bytes": "", "float": float("nan")}[dtype]


def table_size(vocabulary: Vocabulary, known_values: int) -> int:
    """Embedding rows: padding, the known values and the out-of-vocabulary buckets."""
    return 1 + known_values + vocabulary.oov_buckets


def _vocabulary(values: tf.Tensor, name: str, vocabulary: Vocabulary) -> Any:
    threshold = vocabulary.min_count if vocabulary.min_count > 1 else None
    return tft.vocabulary(values, frequency_threshold=threshold, vocab_filename=name)


def _ids(x: tf.Tensor | tf.SparseTensor, file: Any, vocabulary: Vocabulary) -> Any:
    """Ids from 1, of the shape of `x`."""
    looked_up = tft.apply_vocabulary(x, file, num_oov_buckets=vocabulary.oov_buckets)
    if isinstance(looked_up, tf.SparseTensor):
        return tf.sparse.map_values(tf.add, looked_up, 1)
    return looked_up + 1


def _most_recent(history: tf.SparseTensor, length: int) -> tf.Tensor:
    """The last `length` events, padded on the right: (B, any) -> (B, length)."""
    return tf.RaggedTensor.from_sparse(history)[:, -length:].to_tensor(PADDING_ID, shape=[None, length])


def _behaviour(inputs: dict[str, Any], name: str, behaviour: Behaviour, length: int) -> dict[str, tf.Tensor]:
    candidate, history = inputs[behaviour.candidate], inputs[behaviour.history]
    file = _vocabulary(tf.concat([candidate, history.values], axis=0), name, behaviour)
    return {
        behaviour.candidate: _ids(candidate, file, behaviour),  # (B,)
        behaviour.history: _most_recent(_ids(history, file, behaviour), length),  # (B, L)
    }


def _to_dense(x: tf.Tensor | tf.SparseTensor, default: Any) -> tf.Tensor:
    """One value a row, `default` where there is none: (B,)."""
    if isinstance(x, tf.Tensor):
        return x
    narrow = tf.SparseTensor(x.indices, x.values, [x.dense_shape[0], 1])
    return tf.squeeze(tf.sparse.to_dense(narrow, default), 1)


def _side(x: tf.Tensor | tf.SparseTensor, name: str, feature: SideFeature) -> tf.Tensor:
    if feature.kind == "numeric":
        # In double precision, so that the order in which Beam adds up does not show in the result.
        scaled = tft.scale_to_z_score(tf.sparse.map_values(tf.cast, x, tf.float64))
        return tf.cast(_to_dense(scaled, 0.0), tf.float32)  # a missing number is the mean
    values = x.values if isinstance(x, tf.SparseTensor) else x
    return _ids(_to_dense(x, missing_value(feature.dtype)), _vocabulary(values, name, feature), feature)


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Called by TFX Transform.

    Args:
        inputs: Raw features: required ones (B,), the others sparse.
        custom_config: `FeatureConfig` as JSON under `FEATURES_KEY`.

    Returns:
        Transformed features by raw name, and the label: ids and label int64 (B,), histories int64 (B, L), numbers float32 (B,).
    """
    features = FeatureConfig.model_validate_json(custom_config[FEATURES_KEY])
    outputs: dict[str, tf.Tensor] = {LABEL: inputs[LABEL]}
    for name, behaviour in features.behaviours.items():
        outputs |= _behaviour(inputs, name, behaviour, features.history_length)
    for name, feature in features.side.items():
        outputs[name] = _side(inputs[name], name, feature)
    return outputs
