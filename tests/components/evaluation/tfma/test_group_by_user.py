"""The extracts for TFMA's metrics: each impression once in each of its slices, each user in one extract."""

import apache_beam as beam
import numpy as np
import pytest
import tensorflow_model_analysis as tfma
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that
from tensorflow_model_analysis.api.types import VarLenTensorValue
from tensorflow_model_analysis.proto import config_pb2

from components.evaluation.tfma.group_by_user import _ids, _shards, feature_column, group_by_user_extractor


def batch(user, kind, label):
    count = len(user)
    return {
        "labels": {"candidate": np.array(label), "baseline": np.array(label)},
        "predictions": {"candidate": np.arange(count) / 10, "baseline": np.arange(count) / 20},
        "features": {"user": np.array(user), "kind": np.array(kind, dtype=object), "unread": np.zeros(count)},
    }


BATCHES = [batch([1, 2, 3], [b"a", b"b", b"a"], [0, 1, 0]), batch([3, 1, 1], [b"b", b"b", b"a"], [1, 1, 0])]


def extract(check, user_key="user", batches=BATCHES, **columns):
    config = config_pb2.EvalConfig()
    for name in ("candidate", "baseline"):
        config.model_specs.add(name=name, **(columns or {"label_key": "label"}))
    config.slicing_specs.add()
    config.slicing_specs.add(feature_keys=["kind"])
    with TestPipeline() as p:
        found = p | beam.Create(batches) | group_by_user_extractor(config, user_key, None).ptransform
        assert_that(found, check)


def by_slice(extracts):
    result = {}
    for extract in extracts:
        (key,) = extract[tfma.SLICE_KEY_TYPES_KEY]
        result.setdefault(key, []).append(extract)
    return result


def test_each_slice_has_its_impressions_once():
    def check(extracts):
        found = by_slice(extracts)
        counts = {key: sum(len(e["labels"]) for e in parts) for key, parts in found.items()}
        assert counts == {(): 6, (("kind", "a"),): 3, (("kind", "b"),): 3}
        rows = [
            (e["features"]["user"][i], e["labels"][i], round(e["predictions"]["candidate"][i], 3))
            for e in found[()]
            for i in range(len(e["labels"]))
        ]
        assert sorted(rows) == [(1, 0, 0.0), (1, 0, 0.2), (1, 1, 0.1), (2, 1, 0.1), (3, 0, 0.2), (3, 1, 0.0)]

    extract(check)


def test_users_are_whole():
    def check(extracts):
        homes = {}
        for number, part in enumerate(by_slice(extracts)[()]):
            for user in part["features"]["user"]:
                homes.setdefault(user, set()).add(number)
        assert all(len(places) == 1 for places in homes.values())

    extract(check)


def test_data_without_users_is_one_shard():
    def check(extracts):
        (overall,) = by_slice(extracts)[()]
        assert sorted(overall["predictions"]["baseline"]) == pytest.approx([0, 0, 0.05, 0.05, 0.1, 0.1])
        assert overall["features"] == {}

    extract(check, user_key=None)


def test_each_label_has_its_scores_and_those_of_a_baseline_without_it_are_nan():
    """TFMA has a dict by output for a model with two outputs, and none for the older baseline, which predicts the first label."""
    outputs = {"probability": "label", "probability_purchase": "purchase"}
    labels = {"probability": np.array([0, 1, 1]), "probability_purchase": np.array([0, 0, 1])}
    scores = {"probability": np.array([0.1, 0.2, 0.3]), "probability_purchase": np.array([[0.01], [0.02], [0.03]])}
    predictions = {"candidate": scores, "baseline": np.array([0.4, 0.5, 0.6])}
    one = {**batch([1, 1, 1], [b"a", b"a", b"b"], [0, 1, 1]), "predictions": predictions, "labels": dict.fromkeys(predictions, labels)}

    def check(extracts):
        ((whole,), (only_b,)) = (by_slice(extracts)[key] for key in ((), (("kind", "b"),)))
        assert {output: label.tolist() for output, label in whole["labels"].items()} == {
            "probability": [0, 1, 1], "probability_purchase": [0, 0, 1]
        }  # fmt: skip
        assert whole["predictions"]["candidate"]["probability_purchase"].tolist() == [0.01, 0.02, 0.03]
        assert whole["predictions"]["baseline"]["probability"].tolist() == [0.4, 0.5, 0.6]
        assert np.isnan(whole["predictions"]["baseline"]["probability_purchase"]).all()
        assert only_b["predictions"]["candidate"]["probability"].tolist() == [0.3] and only_b["labels"]["probability_purchase"] == [1]

    extract(check, batches=[one], label_keys=outputs)


def test_a_baseline_with_more_labels_is_judged_on_the_first_one():
    scores = {"probability": np.array([0.4, 0.5]), "probability_purchase": np.array([0.1, 0.1])}
    one = batch([1, 1], [b"a", b"a"], [0, 1])
    one["predictions"] = {"candidate": np.array([0.1, 0.2]), "baseline": scores}

    def check(extracts):
        (whole,) = by_slice(extracts)[()]
        assert {model: score.tolist() for model, score in whole["predictions"].items()} == {"candidate": [0.1, 0.2], "baseline": [0.4, 0.5]}

    extract(check, batches=[one])


def test_a_user_has_one_shard_in_every_batch():
    whole, gaps = np.array([b"anna", b"bob"], object), np.array([b"bob", None, b"anna"], object)
    anna, bob = _shards(_ids(whole))
    assert _shards(_ids(gaps))[[0, 2]].tolist() == [bob, anna]
    assert set(_shards(_ids(np.arange(1000)))) == set(range(8))


def test_a_feature_that_may_be_missing():
    values = VarLenTensorValue(values=np.array([b"x", b"y"], object), indices=np.array([[0, 0], [2, 0]]), dense_shape=np.array([3, 1]))
    assert feature_column(values, 3).tolist() == [b"x", None, b"y"]


def test_a_feature_with_several_values_in_a_row():
    """As many values as rows, but not one in each."""
    values = VarLenTensorValue(
        values=np.array([b"x", b"y", b"z"], object), indices=np.array([[0, 0], [0, 1], [2, 0]]), dense_shape=np.array([3, 2])
    )
    assert feature_column(values, 3).tolist() == [(b"x", b"y"), None, b"z"]


def test_an_impression_is_in_the_slice_of_each_of_its_tags():
    values = VarLenTensorValue(
        values=np.array([b"a", b"b", b"b"], object), indices=np.array([[0, 0], [0, 1], [2, 0]]), dense_shape=np.array([3, 2])
    )
    tagged = batch([1, 2, 3], [None, None, None], [0, 1, 0])
    tagged["features"]["kind"] = values

    def check(extracts):
        found = {key: sorted(label for e in parts for label in e["features"]["user"]) for key, parts in by_slice(extracts).items()}
        assert found == {(): [1, 2, 3], (("kind", "a"),): [1], (("kind", "b"),): [1, 3]}

    extract(check, batches=[tagged])
