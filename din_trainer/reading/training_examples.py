"""Reads raw tf.Examples for training: the same look-ups as in the exported model, with the label and the weight."""

from collections.abc import Callable

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.features import LABEL, SAMPLE_WEIGHT, FeatureConfig
from din_trainer.reading.raw_reader import Reader, example_spec

Features = dict[str, tf.Tensor]


def raw_example_reader(features: FeatureConfig, transform_output: tft.TFTransformOutput) -> Callable[[tf.Tensor], Features]:
    """Returns a function that reads serialised raw tf.Examples (N,).

    The function returns what Transform's graph gives: ids and label int64 (N,), histories int64 (N, L), numbers float32 (N,), and, if the
    features are configured so, time gaps float32 (N, L) and sample weights float32 (N,).

    Args:
        features: The features of the model.
        transform_output: The Transform graph, with its vocabularies.
    """
    reader = Reader(features, transform_output)
    spec = {**example_spec(features), LABEL: tf.io.FixedLenFeature([], tf.int64)}
    if features.weight:
        spec[features.weight] = tf.io.FixedLenFeature([], tf.float32)

    def read(serialized: tf.Tensor) -> Features:
        raw = tf.io.parse_example(serialized, spec)
        result = {**reader.transformed(raw), LABEL: raw[LABEL]}
        if features.weight:
            result[SAMPLE_WEIGHT] = raw[features.weight]
        return result

    return read
