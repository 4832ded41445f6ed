"""Transform on a few impressions, as TFX runs it."""

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from din_trainer.config import COUNTS_KEY, FEATURES_KEY
from din_trainer.preprocessing import preprocessing_fn
from din_trainer.schema import make_schema
from pipeline.beam import local_options


def to_example(row):
    """An impression, {name: value, list of values or None}, as a serialised tf.Example."""
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
    """Impressions as Transform gets them, label and weight included."""
    spec = schema_utils.schema_as_feature_spec(make_schema(features)).feature_spec
    return tf.io.parse_example([to_example(row) for row in rows], spec)


def analyse(rows, features, out, with_counts=False):
    """What Transform learns from impressions, written to the folder `out`."""
    schema = make_schema(features)
    scalars = {feature.name for feature in schema.feature if feature.HasField("shape")}
    instances = [
        {
            name: value if name in scalars else np.array(value if isinstance(value, list) else [] if value is None else [value])
            for name, value in row.items()
        }
        for row in rows
    ]
    config = {FEATURES_KEY: features.model_dump_json(), COUNTS_KEY: with_counts}
    with beam.Pipeline(argv=local_options()) as pipeline, tft_beam.Context(temp_dir=str(out / "temp")):
        data = (pipeline | beam.Create(instances), dataset_metadata.DatasetMetadata(schema))
        graph = data | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, config))
        _ = graph | tft_beam.WriteTransformFn(str(out))
    return tft.TFTransformOutput(str(out))


def with_large_weights(model):
    """Random weights, so large that a difference in the inputs shows in the scores."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        values = rng.normal(size=weight.shape)
        weight.assign(values * 0.3 if weight.trainable else values**2 + 0.1)
    return model
