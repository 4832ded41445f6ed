"""Helpers of tests: impressions as tf.Examples, parsed as Transform gets them, arrays as tensors, and models with large random weights."""

import numpy as np
import tensorflow as tf
from tensorflow_transform.tf_metadata import schema_utils

from din_trainer.transform.raw_schema import make_schema


def to_example(row):
    """Serialises an impression, {name: value, list of values or None}, as a tf.Example."""
    example = tf.train.Example()
    for name, value in row.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        if values:
            feature = example.features.feature[name]
            if isinstance(values[0], str):
                feature.bytes_list.value.extend(v.encode() for v in values)
            elif isinstance(values[0], float):
                feature.float_list.value.extend(values)
            else:
                feature.int64_list.value.extend(values)
    return example.SerializeToString()


def parse(rows, features):
    """Parses impressions as Transform gets them, with label and weight."""
    spec = schema_utils.schema_as_feature_spec(make_schema(features)).feature_spec
    return tf.io.parse_example([to_example(row) for row in rows], spec)


def as_tensors(arrays):
    """Arrays by name as tensors; those of objects are text."""
    return {name: tf.constant(x.tolist(), tf.string, x.shape) if x.dtype == object else tf.constant(x) for name, x in arrays.items()}


def with_large_weights(model):
    """Gives a model random weights, so large that a difference in the inputs changes the scores."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        values = rng.normal(size=weight.shape)
        weight.assign(values * 0.3 if weight.trainable else values**2 + 0.1)
    return model
