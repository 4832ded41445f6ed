"""Reads raw tf.Examples for training: the same look-ups as in the exported model, with what only training reads."""

from collections.abc import Callable

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.features import LABEL, SAMPLE_WEIGHT, FeatureConfig
from din_trainer.reading.parsed_examples import example_spec
from din_trainer.reading.raw_reader import Reader
from din_trainer.transform.preprocessing import position_ids

Features = dict[str, tf.Tensor]


def raw_example_reader(features: FeatureConfig, transform_output: tft.TFTransformOutput) -> Callable[[tf.Tensor], Features]:
    """Returns a function that reads serialised raw tf.Examples (N,).

    The function returns what Transform's graph gives, int64 or float32: ids, labels, positions and numbers (N,), numbers with an indicator
    (N, 2), vectors (N, size), tags and their weights (N, most), the same of events behind (N, L), and sample weights (N,). Features of a
    sequence with a long history are ragged, (N, events, …), so that a long history pads no other one.

    Args:
        features: The features of the model.
        transform_output: The Transform graph, with its vocabularies.
    """
    reader = Reader(features, transform_output)
    labels = [LABEL, *features.labels[1:]]
    spec = {**example_spec(features), **{name: tf.io.FixedLenFeature([], tf.int64) for name in labels}}
    spec |= {name: tf.io.VarLenFeature(tf.int64) for name in features.position}
    if features.weight:
        spec[features.weight] = tf.io.FixedLenFeature([], tf.float32)

    def read(serialized: tf.Tensor) -> Features:
        raw = tf.io.parse_example(serialized, spec)
        result = {**reader.transformed(raw, ragged=True), **{name: raw[name] for name in labels}}
        result |= {name: position_ids(raw[name], position) for name, position in features.position.items()}
        if features.weight:
            result[SAMPLE_WEIGHT] = raw[features.weight]
        return result

    return read
