"""The impressions that a run shows with their scores."""

from pathlib import Path

import pytest
import tensorflow as tf

from din_trainer.features import FeatureConfig
from pipeline.datasets.layout import split_files
from pipeline.predict import sample_predictions as module
from pipeline.predict.sample_predictions import sample_predictions
from tests.sample_data import make_impressions, write_dataset


class FakeScorer:
    """Scores an impression by its user."""

    def __init__(self, model):
        assert model == Path("/model")

    def score_examples(self, serialized):
        examples = [tf.train.Example.FromString(record) for record in serialized]
        users = [example.features.feature["user_id"].int64_list.value[0] for example in examples]
        return [{"probability": user / 10, "probability_purchase": user / 100} for user in users]


@pytest.mark.parametrize("count", [2, 9])
def test_the_first_impressions_of_eval_with_their_scores(tmp_path, monkeypatch, count):
    monkeypatch.setattr(module, "Scorer", FakeScorer)
    rows = sample_predictions(Path("/model"), split_files(write_dataset(tmp_path / "data"), "eval"), FeatureConfig(), count)
    shown = ["user_id", "candidate_item_id", "candidate_category_id", "label", "probability", "probability_purchase"]
    assert [list(row) for row in rows] == [shown] * min(count, 4)
    assert all(row["probability"] == row["user_id"] / 10 and row["probability_purchase"] == row["user_id"] / 100 for row in rows)


def test_labels_and_scores_come_before_the_user_s_other_features(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "Scorer", FakeScorer)
    columns = make_impressions(age=[7, None, 8, 9], purchase=[0, 1, 0, 0])
    features = FeatureConfig.model_validate({"labels": ["click", "purchase"], "user": {"age": {"kind": "numeric"}, "user_id": {}}})
    files = split_files(write_dataset(tmp_path / "data", {"eval": columns}), "eval")
    first, second = sample_predictions(Path("/model"), files, features, 2)
    head = ["user_id", "candidate_item_id", "candidate_category_id", "label", "purchase", "probability", "probability_purchase"]
    assert list(first) == [*head, "age"] and list(second) == head  # the second impression has no age
    assert (first["age"], first["purchase"], second["purchase"]) == (7, 0, 1)


def test_tags_are_shown_as_lists_and_vectors_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "Scorer", FakeScorer)
    columns = make_impressions(interests=[[b"a", b"b"], [], [b"c"], []], face=[[0.5, 1.0], [], [], [1.0, 2.0]])
    features = FeatureConfig.model_validate(
        {"user": {"user_id": {}, "interests": {"kind": "tags", "dtype": "bytes"}, "face": {"kind": "vector", "size": 2}}}
    )
    files = split_files(write_dataset(tmp_path / "data", {"eval": columns}), "eval")
    rows = sample_predictions(Path("/model"), files, features, 3)
    assert [row["interests"] for row in rows] == [["a", "b"], [], ["c"]] and "face" not in rows[0]
