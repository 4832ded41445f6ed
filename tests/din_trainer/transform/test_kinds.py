"""Every kind of feature, for users, contexts, candidates and events, from raw impressions through Transform's analysis to its outputs."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.exports.transform_analysis import analyse
from din_trainer.features import LABEL, FeatureConfig
from din_trainer.transform.scales import read_statistics
from tests.transforming import parse

HOUR = 3600
NAN = float("nan")

FEATURES = FeatureConfig.model_validate(
    {
        "history_length": 2,
        "labels": ["click", "purchase"],
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids"},
            "cart": {"candidate": "candidate_item_id", "history": "cart_item_ids", "vocabulary": "item", "sequence": "cart"},
        },
        "user": {
            "user_id": {"embed": False},
            "age": {"kind": "bucketized", "boundaries": [18, 30]},
            "city": {"kind": "hashed", "dtype": "bytes", "buckets": 10},
            "interests": {"kind": "tags", "dtype": "bytes", "weights": "interest_weights", "most": 2},
            "segment": {"dtype": "bytes"},
        },
        "context": {
            "z": {"kind": "numeric", "dtype": "float", "clip": [-10, 10], "indicator": True},
            "log": {"kind": "numeric", "dtype": "float", "scale": "log"},
            "range": {"kind": "numeric", "scale": "minmax"},
            "age_in_city": {"kind": "cross", "of": ["city", "age"], "buckets": 7},
        },
        "candidate": {
            "rank": {"kind": "numeric", "dtype": "float", "scale": "quantile"},
            "price": {"kind": "bucketized", "dtype": "float", "buckets": 4},
            "image": {"kind": "vector", "size": 2},
            "brands": {"kind": "tags", "most": 3},
            "item_by_segment": {"kind": "cross", "of": ["candidate_item_id", "segment", "age"]},
        },
        "events": {
            "clicks": {
                "prices": {"kind": "numeric", "dtype": "float", "indicator": True},
                "images": {"kind": "vector", "size": 2},
                "event_tags": {"kind": "tags", "dtype": "bytes", "lengths": "tag_counts", "weights": "tag_weights", "most": 2},
                "actions": {"dtype": "bytes"},
                "dwell": {"kind": "bucketized", "boundaries": [0]},
                "shops": {"kind": "hashed", "buckets": 5},
            },
            "cart": {"cart_times": {"kind": "time_gap"}},
        },
        "position": {"slot": {"positions": 5, "serving": 1}},
    }
)

BARE = {"user": {"user_id": {"embed": False}}, "behaviours": {"item": {"candidate": "candidate_item_id", "history": "historical_item_ids"}}}

FULL = {
    "user_id": 1, "candidate_item_id": 7, "label": 1, "purchase": 1, "timestamp": 100 * HOUR,
    "historical_item_ids": [7, 8, 9], "cart_item_ids": [8, 9], "cart_times": [98 * HOUR, -1],
    "age": 18, "city": "Köln", "interests": ["a", "", "b", "c"], "interest_weights": [1.0, 9.0, 2.0, 3.0], "segment": "s",
    "z": 500.0, "log": -3.0, "range": -1, "rank": 3.0, "price": 2.0, "image": [1.0, 2.0], "brands": [5, 5, 6], "slot": 9,
    "prices": [1.0, NAN, 4.0], "images": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    "event_tags": ["x", "", "y", "x", "z"], "tag_counts": [1, 0, 4], "tag_weights": [1.0, 2.0, 3.0, NAN, 5.0],
    "actions": ["view", "", "buy"], "dwell": [-1, 0, 1], "shops": [4, -1, 3],
}  # fmt: skip
EMPTY = {
    "user_id": 2, "candidate_item_id": 7, "label": 0, "purchase": 0, "timestamp": 100 * HOUR, "historical_item_ids": [], "cart_item_ids": []
}  # fmt: skip
# Missing values that are written: none differs from a value that is not there.
WRITTEN = EMPTY | {"user_id": 3, "city": "", "interests": ["", ""], "interest_weights": [1.0, 1.0], "segment": "", "z": NAN, "log": NAN,
                   "rank": NAN, "price": NAN, "image": [NAN, NAN], "brands": [-1]}  # fmt: skip
OTHER = EMPTY | {"user_id": 4, "candidate_item_id": 9, "age": 30, "z": -4.0, "log": 7.5, "range": 9, "rank": 1.0, "price": 8.0, "slot": 3,
                 "cart_item_ids": [7], "cart_times": [100 * HOUR]}  # fmt: skip
ROWS = [FULL, EMPTY, WRITTEN, OTHER]


@pytest.fixture(scope="module")
def transform_output(tmp_path_factory):
    return analyse(ROWS, FEATURES, tmp_path_factory.mktemp("transform"))


@pytest.fixture(scope="module")
def outputs(transform_output):
    return transform_output.transform_raw_features(parse(ROWS, FEATURES))


def bucket(text, buckets):
    return 1 + int(tf.strings.to_hash_bucket_fast(text, buckets))


def z_scores(*values, of):
    return (np.array(values) - np.mean(of)) / np.std(of)


def test_labels_and_positions_are_for_training_and_what_the_model_does_not_read_is_left_out(outputs):
    assert outputs[LABEL].numpy().tolist() == outputs["purchase"].numpy().tolist() == [1, 0, 0, 0]
    np.testing.assert_array_equal(outputs["slot"], [5, 2, 2, 4])  # the last of five, twice that of serving, and 1 + 3
    assert "user_id" not in outputs and "timestamp" not in outputs and "tag_counts" not in outputs


def test_buckets(outputs):
    np.testing.assert_array_equal(outputs["age"], [2, 4, 4, 3])  # at 18 and at 30 the bucket above; 4 is missing
    np.testing.assert_array_equal(outputs["dwell"], [[2, 2], [0, 0], [0, 0], [0, 0]])  # −1 is a number, of the event that is cut off


def test_buckets_by_quantiles(transform_output, outputs):
    quantiles = read_statistics(Path(transform_output.transform_savedmodel_dir).parent, ["price"])["price"]["quantiles"]
    assert len(quantiles) == 3 and set(quantiles) <= {2.0, 8.0}
    np.testing.assert_array_equal(outputs["price"], [1 + np.digitize(2.0, quantiles), 5, 5, 1 + np.digitize(8.0, quantiles)])


def test_hashes(outputs):
    np.testing.assert_array_equal(outputs["city"], [bucket("Köln", 10), 11, 11, 11])
    np.testing.assert_array_equal(outputs["shops"], [[6, bucket("3", 5)], [0, 0], [0, 0], [0, 0]])


def test_tags_and_weights(transform_output, outputs):
    assert transform_output.vocabulary_by_name("interests") == [b"c", b"b", b"a"]  # once each, in the falling order of their bytes
    np.testing.assert_array_equal(outputs["interests"], [[3, 2], [0, 0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(outputs["interest_weights"], [[1, 2], [0, 0], [0, 0], [0, 0]])
    assert transform_output.vocabulary_by_name("brands") == [b"5", b"6"]
    np.testing.assert_array_equal(outputs["brands"], [[1, 1, 2], [0, 0, 0], [0, 0, 0], [0, 0, 0]])


def test_tags_of_events(transform_output, outputs):
    assert transform_output.vocabulary_by_name("event_tags") == [b"x", b"z", b"y"]
    np.testing.assert_array_equal(outputs["event_tags"][0], [[0, 0], [3, 1]])  # the second event has no tags; of the third, "" is none
    np.testing.assert_array_equal(outputs["tag_weights"][0], [[0, 0], [3, 0]])
    assert not np.any(outputs["event_tags"][1:])


def test_numbers(transform_output, outputs):
    np.testing.assert_allclose(outputs["z"][:, 0], [*z_scores(10, of=[10, -4]), 0, 0, *z_scores(-4, of=[10, -4])], rtol=1e-6)  # clipped
    np.testing.assert_array_equal(outputs["z"][:, 1], [0, 1, 1, 0])
    logs = [-np.log(4), np.log(8.5)]
    np.testing.assert_allclose(outputs["log"], [*z_scores(logs[0], of=logs), 0, 0, *z_scores(logs[1], of=logs)], rtol=1e-6)
    np.testing.assert_array_equal(outputs["range"], [0, 0, 0, 1])  # −1 is the lowest number
    quantiles = read_statistics(Path(transform_output.transform_savedmodel_dir).parent, ["rank"])["rank"]["quantiles"]
    assert len(quantiles) == 99 and set(quantiles) == {1.0, 3.0}
    np.testing.assert_allclose(outputs["rank"], [1, 0.5, 0.5, (quantiles.count(1.0) - 1) / 98], rtol=1e-6)


def test_numbers_and_vectors_of_events_are_cut_to_the_most_recent(outputs):
    numbers = [[[0, 1], [*z_scores(4, of=[1, 4]), 0]], np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2))]
    np.testing.assert_allclose(outputs["prices"], numbers, rtol=1e-6)
    np.testing.assert_array_equal(outputs["images"], [[[3, 4], [5, 6]], np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2))])
    np.testing.assert_array_equal(outputs["image"], [[1, 2], [0, 0], [0, 0], [0, 0]])


def test_categorical_events(transform_output, outputs):
    assert transform_output.vocabulary_by_name("actions") == [b"view", b"buy"]
    np.testing.assert_array_equal(outputs["actions"], [[3, 2], [0, 0], [0, 0], [0, 0]])  # a missing action is out of vocabulary


def test_time_gaps_of_any_sequence(outputs):
    gaps = np.log([3, 1])  # after 2 hours and at once; an event without a time has the mean
    np.testing.assert_allclose(outputs["cart_times_gap"], [[*z_scores(gaps[0], of=gaps), 0], [0, 0], [0, 0], [*z_scores(0, of=gaps), 0]])


def test_crosses(transform_output, outputs):
    places = [("Köln", 2), ("", 4), ("", 4), ("", 3)]  # a bucketized part by its id, which a missing number has, too
    np.testing.assert_array_equal(outputs["age_in_city"], [bucket(f"{city}\x1f{age}", 7) for city, age in places])
    known = [value.decode() for value in transform_output.vocabulary_by_name("item_by_segment")]
    assert known == ["7\x1f\x1f4", "9\x1f\x1f3", "7\x1fs\x1f2"]
    np.testing.assert_array_equal(outputs["item_by_segment"], [3, 1, 1, 2])


def test_a_cross_with_buckets_by_quantiles(tmp_path):
    """Its vocabulary needs a second pass over the data, since the quantiles must be known before."""
    candidate = {
        "price": {"kind": "bucketized", "dtype": "float", "buckets": 2},
        "pair": {"kind": "cross", "of": ["candidate_item_id", "price"]},
    }
    features = FeatureConfig.model_validate(BARE | {"candidate": candidate})
    rows = [{"user_id": 1, "candidate_item_id": 7, "historical_item_ids": [], "label": 0, "price": price} for price in (1.0, 2.0, 3.0)]
    output = analyse(rows, features, tmp_path)
    (median,) = read_statistics(tmp_path, ["price"])["price"]["quantiles"]
    assert median == 2.0
    assert output.vocabulary_by_name("pair") == [b"7\x1f2", b"7\x1f1"]
    np.testing.assert_array_equal(output.transform_raw_features(parse(rows, features))["pair"], [2, 1, 1])


def test_values_that_were_not_seen_are_out_of_vocabulary(transform_output):
    """Known tags and crosses keep their ids; unknown ones have the id behind the vocabulary."""
    row = FULL | {"interests": ["new", "a"], "interest_weights": [1.0, 1.0], "segment": "other", "event_tags": ["n", "x", "n", "n", "n"]}
    seen = transform_output.transform_raw_features(parse([row], FEATURES))
    np.testing.assert_array_equal(seen["interests"], [[4, 3]])
    np.testing.assert_array_equal(seen["event_tags"], [[[0, 0], [1, 4]]])
    np.testing.assert_array_equal(seen["item_by_segment"], [4])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image": [1.0]}, "each vector of image must have 2 floats, or none"),
        ({"images": [1.0, 2.0, 3.0]}, "each vector of images must have 2 floats, in each event"),
        ({"tag_counts": [1, 0, 5]}, "must add up to the values that each impression has of event_tags"),
        ({"interest_weights": [1.0]}, "as many weights as there are tags"),
    ],
)
def test_a_wrong_number_of_values_is_an_error(transform_output, change, sentence):
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        transform_output.transform_raw_features(parse([FULL | change, OTHER], FEATURES))


def test_a_wrong_number_of_values_in_the_training_data_ends_the_analysis(tmp_path):
    """Three floats and one are not two vectors of two."""
    features = FeatureConfig.model_validate(BARE | {"candidate": {"image": {"kind": "vector", "size": 2}}})
    rows = [{"user_id": 1, "candidate_item_id": 7, "historical_item_ids": [], "label": 0, "image": image} for image in ([1.0] * 3, [4.0])]
    with pytest.raises(Exception, match="each vector of image must have 2 floats, or none"):
        analyse(rows, features, tmp_path)
