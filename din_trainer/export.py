"""A trained DIN as a SavedModel that TF Serving loads.

| signature            | inputs                                             | outputs                                       |
|----------------------|----------------------------------------------------|-----------------------------------------------|
| `serving_default`    | `examples` (B,): serialised tf.Examples            | `probability` (B,)                            |
| `predict`            | raw features by name: (B,), histories (B, any)     | `probability` (B,)                            |
| `transform_features` | `examples` (B,): serialised tf.Examples            | transformed features by name                  |
| `explain`            | `examples` (B,): serialised tf.Examples            | `probability` (B,), `<sequence>_attention`    |

`explain` is there if the model attends to histories: for each sequence, (B, L) float32, what the embedding of each event is multiplied by.
The most recent L events stand oldest first and fill the row from the left; padding is 0.

Labels and columns that only training reads are not asked for. Raw tensors pad histories with −1 or ""; an event is padding where the first
behaviour of its sequence is. −1 and "" also stand for a missing categorical value. Numbers are float32 in `predict`, NaN where missing.
"""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.din import DIN
from din_trainer.features import HISTORICAL_TIMESTAMPS, Column, FeatureConfig
from din_trainer.frame import RankingModel
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


def _is_number(column: Column, features: FeatureConfig) -> bool:
    return column.name in features.side and features.side[column.name].kind == "numeric"


def raw_tensor_spec(features: FeatureConfig) -> dict[str, tf.TensorSpec]:
    """Inputs of `predict`: (B,) a feature, (B, any) a history."""
    return {
        column.name: tf.TensorSpec(
            [None, None] if column.presence == "sequence" else [None],
            tf.float32 if _is_number(column, features) else _DTYPES[column.dtype],
            name=column.name,
        )
        for column in features.columns
    }


def _present(x: tf.Tensor) -> tf.Tensor:
    """Where a raw tensor holds a value: bool, of the shape of `x`."""
    if x.dtype == tf.float32:
        return tf.logical_not(tf.math.is_nan(x))
    return tf.not_equal(x, missing_value("bytes" if x.dtype == tf.string else "int64"))


def _of_dtype(x: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    return x if x.dtype == dtype else tf.cast(x, dtype)  # numbers alone differ; strings cannot be cast


def _as_parsed(raw: dict[str, tf.Tensor], features: FeatureConfig) -> dict[str, tf.Tensor | tf.SparseTensor]:
    """Raw tensors in the form that parsing tf.Examples gives: padding and missing values taken out, the rest moved to the left."""
    events: dict[str, tf.Tensor] = {}  # (B, any), one mask for all histories of a sequence, since they are aligned
    for behaviours in features.sequences.values():
        present = _present(raw[next(iter(behaviours.values())).history])
        events |= {behaviour.history: present for behaviour in behaviours.values()}
    if features.time_gap:
        events[HISTORICAL_TIMESTAMPS] = next(iter(events.values()))
    parsed: dict[str, tf.Tensor | tf.SparseTensor] = {}
    for column in features.columns:
        x = raw[column.name]
        if column.presence == "required":
            parsed[column.name] = x
        elif column.presence == "sequence":
            parsed[column.name] = tf.ragged.boolean_mask(x, events[column.name]).to_sparse()
        else:
            value = _of_dtype(tf.expand_dims(x, 1), _DTYPES[column.dtype])
            parsed[column.name] = tf.ragged.boolean_mask(value, tf.expand_dims(_present(x), 1)).to_sparse()
    return parsed


def export(model: RankingModel, transform_output: tft.TFTransformOutput, path: str) -> None:
    """Writes the SavedModel.

    Args:
        model: A model with its weights made.
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
        return probability(_as_parsed(raw, features))

    def transform_features(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return transform(tf.io.parse_example(examples, spec))

    def explain(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        transformed = transform(tf.io.parse_example(examples, spec))
        weights = {f"{sequence}_attention": x for sequence, x in model.attention_weights(transformed).items()}
        return {"probability": tf.sigmoid(model(transformed, training=False)), **weights}

    examples_spec = [tf.TensorSpec([None], tf.string, name="examples")]
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.track(transform)
    archive.add_endpoint("serving_default", serving_default, examples_spec)
    archive.add_endpoint("predict", predict, [raw_tensor_spec(features)])
    archive.add_endpoint("transform_features", transform_features, examples_spec)
    if isinstance(model, DIN) and model.sequences:
        archive.add_endpoint("explain", explain, examples_spec)
    archive.write_out(path, verbose=False)
