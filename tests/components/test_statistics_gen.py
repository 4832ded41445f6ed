"""StatisticsGen gives TFX's own statistics, byte for byte."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx.components.statistics_gen import executor as tfx_executor
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from components.statistics_gen import Executor
from pipeline.runners.beam_options import local_options

SCHEMA = """
feature { name: "user" type: INT int_domain { is_categorical: true } presence { min_fraction: 1 min_count: 1 } shape {} }
feature { name: "device" type: BYTES value_count { max: 1 } }
feature { name: "history" type: INT int_domain { is_categorical: true } }
feature { name: "price" type: FLOAT value_count { max: 1 } }
feature { name: "count" type: INT value_count { max: 1 } }
feature { name: "nowhere" type: INT }
"""


def example(rng):
    """Missing, empty, negative, float, bytes and not UTF-8: all of them."""
    result = tf.train.Example()
    feature = result.features.feature
    feature["user"].int64_list.value.append(int(rng.integers(-5, 2000)))
    if rng.random() < 0.7:
        feature["history"].int64_list.value.extend(rng.integers(-(2**40), 2**40, rng.integers(0, 4)).tolist())
    if rng.random() < 0.8:
        feature["device"].bytes_list.value.extend([[b"phone"], [b""], [b"\xff"], []][rng.integers(4)])
    if rng.random() < 0.8:
        feature["price"].float_list.value.extend([[0.5], [float("nan")], [float("inf")], []][rng.integers(4)])
    if rng.random() < 0.5:
        feature["count"].int64_list.value.append(int(rng.integers(-3, 3)))
    return result.SerializeToString()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("statistics")
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(text_format.Parse(SCHEMA, schema_pb2.Schema())))
    split = folder / "examples" / "Split-train"
    split.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with tf.io.TFRecordWriter(str(split / "0.gz"), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for _ in range(500):
            writer.write(example(rng))
    examples, schema = standard_artifacts.Examples(), standard_artifacts.Schema()
    examples.uri, examples.split_names, schema.uri = str(folder / "examples"), '["train"]', str(folder / "schema")
    examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
    examples.set_string_custom_property("file_format", "tfrecords_gzip")
    return {"examples": [examples], "schema": [schema]}


def run(kind, inputs, folder, **properties):
    """The statistics of each feature as bytes, by name, and the number of examples. TFDV writes the features in any order."""
    statistics = standard_artifacts.ExampleStatistics()
    statistics.uri = str(folder)
    context = BaseBeamExecutor.Context(beam_pipeline_args=local_options(), tmp_dir=str(folder), unique_id="1")
    kind(context).Do(inputs, {"statistics": [statistics]}, {"exclude_splits": "[]", **properties})
    content = (folder / "Split-train" / "FeatureStats.pb").read_bytes()
    (dataset,) = statistics_pb2.DatasetFeatureStatisticsList.FromString(content).datasets
    return {feature.path.step[0]: feature.SerializeToString() for feature in dataset.features}, dataset.num_examples


def test_statistics_are_tfdv_s_own_byte_for_byte(inputs, tmp_path):
    ours, theirs = run(Executor, inputs, tmp_path / "ours"), run(tfx_executor.Executor, inputs, tmp_path / "theirs")
    assert ours == theirs
    assert ours[0].keys() == {"user", "device", "history", "price", "count"} and ours[1] == 500


def test_a_sample_is_a_share_of_the_impressions(inputs, tmp_path):
    """Bernoulli draws: the count is within five standard deviations."""
    options = tfdv.StatsOptions(sample_rate=0.2).to_json()
    _, count = run(Executor, inputs, tmp_path, stats_options_json=options)
    assert abs(count - 100) < 5 * np.sqrt(500 * 0.2 * 0.8)
