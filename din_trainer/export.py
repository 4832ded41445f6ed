"""A trained DIN as a SavedModel that TF Serving loads.

| signature            | inputs                                             | outputs                                       |
|----------------------|----------------------------------------------------|-----------------------------------------------|
| `serving_default`    | `examples` (B,): serialised tf.Examples            | `probability` (B,)                            |
| `predict`            | raw features by name: (B,), histories (B, any)     | `probability` (B,)                            |
| `transform_features` | `examples` (B,): serialised tf.Examples            | transformed features by name                  |

Labels and columns that only training reads are not asked for. Raw tensors pad histories with −1 or "", which also stand for a missing
optional value (NaN for a float).
"""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.features import Column, FeatureConfig
from din_trainer.model import DIN
from din_trainer.preprocessing import missing_value

_DTYPES = {"int64": tf.int64, "bytes": tf.string, "float": tf.float32}


def raw_feature_spec(features: FeatureConfig) -> dict[str, Any]:
    """How the signatures parse a tf.Example: required features must be there, the others may be missing."""
    return {
        column.name: tf.io.FixedLenFeature([], _DTYPES[column.dtype])
        if column.presence == "required"
        else tf.io.VarLenFeature(_DTYPES[column.dtype])
        for column in features.columns
    }


def raw_tensor_spec(features: FeatureConfig) -> dict[str, tf.TensorSpec]:
    """Inputs of `predict`: (B,) a feature, (B, any) a history."""
    return {
        column.name: tf.TensorSpec([None, None] if column.presence == "sequence" else [None], _DTYPES[column.dtype], name=column.name)
        for column in features.columns
    }


def _to_sparse(x: tf.Tensor, dtype: str) -> tf.SparseTensor:
    """The values that are there, moved to the left: (B, any) -> sparse (B, any)."""
    present = tf.logical_not(tf.math.is_nan(x)) if dtype == "float" else tf.not_equal(x, missing_value(dtype))
    return tf.ragged.boolean_mask(x, present).to_sparse()


def _as_parsed(column: Column, x: tf.Tensor) -> tf.Tensor | tf.SparseTensor:
    """A raw tensor in the form that parsing a tf.Example gives."""
    if column.presence == "required":
        return x
    return _to_sparse(x if column.presence == "sequence" else tf.expand_dims(x, 1), column.dtype)


def export(model: DIN, transform_output: tft.TFTransformOutput, path: str) -> None:
    """Writes the SavedModel.

    Args:
        model: A built DIN.
        transform_output: The Transform graph that made its training data.
        path: Folder to write.
    """
    features = model.din_config.features
    transform = transform_output.transform_features_layer()
    spec = raw_feature_spec(features)

    def probability(raw: dict[str, Any]) -> dict[str, tf.Tensor]:
        return {"probability": tf.sigmoid(model(transform(raw), training=False))}

    def serving_default(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return probability(tf.io.parse_example(examples, spec))

    def predict(raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return probability({column.name: _as_parsed(column, raw[column.name]) for column in features.columns})

    def transform_features(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return transform(tf.io.parse_example(examples, spec))

    examples_spec = [tf.TensorSpec([None], tf.string, name="examples")]
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.track(transform)
    archive.add_endpoint("serving_default", serving_default, examples_spec)
    archive.add_endpoint("predict", predict, [raw_tensor_spec(features)])
    archive.add_endpoint("transform_features", transform_features, examples_spec)
    archive.write_out(path, verbose=False)
