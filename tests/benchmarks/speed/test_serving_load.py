"""The requests under load are the same candidates for both models, and the figures are the best of the rounds."""

import numpy as np
import pytest

from benchmarks.speed import serving_load


def test_both_models_get_the_same_candidates_of_one_user():
    requests = serving_load.ranking_requests(candidates=3, history=2)
    ranked, rows = requests["rank"], requests["impressions"]
    assert ranked["candidate_item_id"].shape == (1, 3) and rows["historical_item_ids"].shape == (3, 2)
    np.testing.assert_array_equal(ranked["candidate_item_id"][0], rows["candidate_item_id"])
    np.testing.assert_array_equal(ranked["candidate_category_id"][0], rows["candidate_category_id"])
    for name in ("historical_item_ids", "historical_category_ids"):
        np.testing.assert_array_equal(np.repeat(ranked[name], 3, axis=0), rows[name])


def test_each_figure_is_the_lowest_over_the_rounds():
    even, with_outlier = np.full(101, 0.003), np.array([0.001] * 99 + [0.5] * 2)
    assert serving_load.best_of([even, with_outlier]) == pytest.approx({"p50_ms": 1.0, "p99_ms": 3.0})
