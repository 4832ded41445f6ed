"""Permutation importance, with a model whose scores are known."""

import numpy as np
import pyarrow as pa
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from components.evaluation.permutation import draw_rows, exchange, exchanged_features
from components.feature_importance import measure
from din_trainer.features import FeatureConfig

COUNT = 600
SETTINGS = {"slices": [["hour"]], "replicates": 50, "confidence": 0.9, "seed": 3}
FEATURES = FeatureConfig.model_validate(
    {
        "behaviours": {"item": {"candidate": "candidate_item_id", "history": "historical_item_ids"}},
        "context": {"hour": {"dtype": "int64"}},
        "user": {"user_id": {"embed": False}, "interests": {"kind": "tags", "weights": "interest_weights"}},
    }
)


def lists(values):
    return pa.array([list(np.atleast_1d(value)) for value in values], pa.large_list(pa.int64()))


def impressions():
    rng = np.random.default_rng(0)
    item = rng.integers(0, 100, COUNT)
    label = (rng.random(COUNT) < item / 100).astype(int)
    return pa.RecordBatch.from_pydict(
        {
            "user_id": lists(rng.integers(0, 40, COUNT)),
            "candidate_item_id": lists(item),
            "historical_item_ids": lists([[1, 2]] * COUNT),
            "hour": lists(rng.integers(0, 2, COUNT)),
            "label": lists(label),
        }
    )


def by_item(examples):
    """A served model that reads the candidate alone."""
    spec = {"candidate_item_id": tf.io.FixedLenFeature([], tf.int64)}
    item = tf.io.parse_example(examples, spec)["candidate_item_id"]
    return {"probability": tf.cast(item, tf.float32) / 100}


def flat(column):
    return column.flatten().to_numpy()


def test_the_lost_auc_is_that_of_the_exchanged_scores():
    batch = impressions()
    found = measure(batch, by_item, FEATURES, SETTINGS)
    overall = found["slices"][0]
    label, item = flat(batch.column("label")), flat(batch.column("candidate_item_id"))
    exchanged = item[np.random.default_rng([3, 0]).permutation(COUNT)]
    auc = roc_auc_score(label, item)
    assert (overall["slice"], overall["examples"]) == ("overall", COUNT)
    np.testing.assert_allclose(overall["auc"], auc)
    first, *others = overall["features"]
    assert first["feature"] == "candidate_item_id"
    np.testing.assert_allclose(first["lost"], auc - roc_auc_score(label, exchanged))
    assert first["low"] < first["lost"] < first["high"]
    assert [(row["lost"], row["low"], row["high"]) for row in others] == [(0, 0, 0)] * len(others)


def test_slices_are_measured_on_their_own_impressions():
    batch = impressions()
    found = measure(batch, by_item, FEATURES, SETTINGS)["slices"]
    hour, label, item = (flat(batch.column(name)) for name in ("hour", "label", "candidate_item_id"))
    assert sorted(part["slice"] for part in found) == ["hour=0", "hour=1", "overall"]
    part = next(part for part in found if part["slice"] == "hour=1")
    np.testing.assert_allclose(part["auc"], roc_auc_score(label[hour == 1], item[hour == 1]))


def test_what_belongs_together_is_exchanged_together():
    assert [(part.name, part.columns) for part in exchanged_features(FEATURES)] == [
        ("candidate_item_id", ["candidate_item_id"]),
        ("clicks", ["historical_item_ids"]),
        ("interests", ["interests", "interest_weights"]),
        ("hour", ["hour"]),
    ]
    batch = pa.RecordBatch.from_pydict({name: lists(range(20)) for name in ("a", "b", "c")})
    moved = exchange(batch, ["a", "c"], np.random.default_rng(0))
    assert moved.column("a").equals(moved.column("c"))
    assert not moved.column("a").equals(batch.column("a"))
    assert moved.column("b").equals(batch.column("b"))


def test_rows_are_drawn_without_keeping_all():
    batches = [pa.RecordBatch.from_pydict({"a": lists(range(start, start + 100))}) for start in range(0, 1000, 100)]
    drawn = flat(draw_rows(batches, 300, 0).column("a"))
    assert len(drawn) == 300
    assert (np.diff(drawn) > 0).all()
    assert 400 < drawn.mean() < 600
    assert flat(draw_rows(batches, 5000, 0).column("a")).tolist() == list(range(1000))


def test_a_table_with_rows_of_different_times_is_read_at_the_time_of_each_impression():
    """Without its time, an impression would get the newest row: what is known today."""
    lookup = {"table": "items.parquet", "key": "item_id", "of": "candidate_item_id", "valid_from": "since"}
    price = {"kind": "numeric", "dtype": "float", "lookup": "item"}
    features = FeatureConfig.model_validate({**FEATURES.model_dump(), "candidate": {"price": price}, "lookups": {"item": lookup}})
    batch = impressions()
    times = np.arange(COUNT)
    batch = batch.append_column("timestamp", lists(times))

    def by_time(examples):
        time = tf.io.parse_example(examples, {"timestamp": tf.io.FixedLenFeature([], tf.int64)})["timestamp"]
        return {"probability": tf.cast(time, tf.float32) / COUNT}

    found = measure(batch, by_time, features, {**SETTINGS, "slices": []})
    np.testing.assert_allclose(found["slices"][0]["auc"], roc_auc_score(flat(batch.column("label")), times))
