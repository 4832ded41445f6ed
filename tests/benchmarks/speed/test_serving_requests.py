"""The requests of `din bench serve` hold the same impressions for every model."""

import numpy as np

from benchmarks.speed import serving_requests
from benchmarks.speed.serving_requests import make_impressions, make_requests
from din_trainer.features import FeatureConfig


def test_requests_are_the_same_impressions_for_all(monkeypatch):
    monkeypatch.setattr(serving_requests, "IDS", {"user": 7, "item": 90, "category": 40})
    impressions = make_impressions(5, history=3)
    requests = make_requests(impressions, FeatureConfig(history_length=3))
    for number, row in enumerate(impressions):
        assert row["candidate_category_id"] == row["candidate_item_id"] % 40 and 0 <= row["user_id"] < 7
        assert [x % 40 for x in row["historical_item_ids"]] == row["historical_category_ids"] and len(row["historical_item_ids"]) == 3
        assert requests.raw["user_id"][number] == row["user_id"]
        assert requests.core["candidate_item_id"][number] == row["candidate_item_id"] + 2
        assert requests.deepctr["item"][number].tolist() == [row["candidate_item_id"] + 1]
        assert requests.deepctr["hist_category"][number].tolist() == [x + 1 for x in row["historical_category_ids"]]
    assert requests.examples["examples"].shape == (5,) and requests.deepctr["user"].dtype == np.int32
