"""The impressions that a run shows with their scores."""

from pathlib import Path

import pytest
import tensorflow as tf

from din_trainer.features import FeatureConfig
from pipeline.datasets.layout import split_files
from pipeline.predict import sample_predictions as module
from pipeline.predict.sample_predictions import sample_predictions
from tests.sample_data import write_dataset


class FakeScorer:
    """Scores an impression by its user."""

    def __init__(self, model):
        assert model == Path("/model")

    def score_examples(self, serialized):
        examples = [tf.train.Example.FromString(record) for record in serialized]
        return [example.features.feature["user_id"].int64_list.value[0] / 10 for example in examples]


@pytest.mark.parametrize("count", [2, 9])
def test_the_first_impressions_of_eval_with_their_scores(tmp_path, monkeypatch, count):
    monkeypatch.setattr(module, "Scorer", FakeScorer)
    rows = sample_predictions(Path("/model"), split_files(write_dataset(tmp_path / "data"), "eval"), FeatureConfig(), count)
    assert [list(row) for row in rows] == [["user_id", "candidate_item_id", "candidate_category_id", "label", "probability"]] * min(
        count, 4
    )
    assert all(row["probability"] == row["user_id"] / 10 for row in rows)
