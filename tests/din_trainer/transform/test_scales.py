"""The statistics of numbers: read from a graph, and kept by a warm start."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from benchmarks.exports.transform_analysis import analyse
from din_trainer.features import FeatureConfig
from din_trainer.transform.scales import read_scales, read_statistics, scaled_names
from pipeline.runners.beam_options import local_options
from tests.transforming import parse

BARE = {"user": {"user_id": {"embed": False}}, "behaviours": {"item": {"candidate": "candidate_item_id", "history": "historical_item_ids"}}}
NUMBER = {"kind": "numeric", "dtype": "float"}
CANDIDATE = {
    "z": NUMBER,
    "range": NUMBER | {"scale": "minmax"},
    "rank": NUMBER | {"scale": "quantile"},
    "bucket": {"kind": "bucketized", "dtype": "float", "buckets": 4},
    "fixed": {"kind": "bucketized", "dtype": "float", "boundaries": [0]},
}


def configure(**changes):
    return FeatureConfig.model_validate(BARE | {"candidate": CANDIDATE | changes, "events": {"clicks": {"times": {"kind": "time_gap"}}}})


def rows(numbers):
    bare = {"user_id": 1, "candidate_item_id": 7, "historical_item_ids": [7, 7], "timestamp": 7200, "times": [0, 3600], "label": 0}
    return [bare | {name: float(number) for name in CANDIDATE} for number in numbers]


def kept_by(folder, features):
    values = {"transform_graph": str(folder), "elapsed": 1, "forget_after": 0}
    return {"values": values, "scales": read_scales(folder, scaled_names(features))}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    return folder, analyse(rows(range(101)), configure(), folder)


def test_all_statistics_are_read_and_are_numpy_s(first):
    found, numbers = read_statistics(first[0], scaled_names(configure())), np.arange(101.0)
    assert list(found) == ["z", "range", "rank", "bucket", "times_gap"]  # given boundaries are no statistics
    np.testing.assert_allclose([found["z"]["mean"], found["z"]["variance"]], [numbers.mean(), numbers.var()], rtol=1e-14)
    assert found["range"] == {"low": 0.0, "high": 100.0}
    np.testing.assert_array_equal(found["rank"]["quantiles"], np.arange(1, 100))
    np.testing.assert_array_equal(found["bucket"]["quantiles"], [25, 50, 75])
    np.testing.assert_allclose(found["times_gap"]["mean"], np.log([3, 2]).mean(), rtol=1e-14)


def test_a_warm_start_keeps_the_statistics_of_all_scales(first, tmp_path):
    """Known impressions have the same numbers and buckets on another day, to the last bit."""
    features = configure()
    second = analyse(rows([1000, -5, 3]), features, tmp_path, start=kept_by(first[0], features))
    assert read_statistics(tmp_path, scaled_names(features)) == read_statistics(first[0], scaled_names(features))
    raw = parse(rows([0, 12.5, 25, 99, 1e6, float("nan")]), features)
    before, after = first[1].transform_raw_features(raw), second.transform_raw_features(raw)
    for name in (*CANDIDATE, "times_gap"):
        np.testing.assert_array_equal(after[name], before[name])
    np.testing.assert_array_equal(after["bucket"], [1, 1, 2, 4, 4, 5])


def test_a_feature_that_is_scaled_in_another_way_or_has_other_buckets_gets_new_statistics(first, tmp_path):
    features = configure(z=NUMBER | {"scale": "minmax"}, bucket={"kind": "bucketized", "dtype": "float", "buckets": 2})
    analyse(rows([10, 20, 30]), features, tmp_path, start=kept_by(first[0], configure()))
    found = read_statistics(tmp_path, ["z", "bucket", "range"])
    assert found == {"z": {"low": 10.0, "high": 30.0}, "bucket": {"quantiles": [20.0]}, "range": {"low": 0.0, "high": 100.0}}


def test_statistics_of_a_constant_number_are_not_kept(tmp_path):
    features = configure()
    analyse(rows([7, 7]), features, tmp_path)
    assert read_statistics(tmp_path, ["z", "range"]) == {"z": {"mean": 7.0, "variance": 0.0}, "range": {"low": 7.0, "high": 7.0}}
    assert list(read_scales(tmp_path, scaled_names(features))) == ["times_gap"]


def test_graphs_of_earlier_versions_are_read(tmp_path):
    """They scale numbers with `tft.scale_to_z_score` and do not name the statistics."""
    import apache_beam as beam

    def scaled(inputs):
        return {"price": tf.cast(tft.scale_to_z_score(tf.cast(inputs["price"], tf.float64), name="scale_price"), tf.float32)}

    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec({"price": tf.io.FixedLenFeature([], tf.float32)}))
    with beam.Pipeline(argv=local_options()) as pipeline, tft_beam.Context(temp_dir=str(tmp_path / "temp")):
        data = (pipeline | beam.Create([{"price": 3.0}, {"price": 5.0}]), metadata)
        _ = data | tft_beam.AnalyzeDataset(scaled) | tft_beam.WriteTransformFn(str(tmp_path / "graph"))
    assert read_scales(Path(tmp_path / "graph"), ["price", "other"]) == {"price": {"mean": 4.0, "variance": 1.0}}
