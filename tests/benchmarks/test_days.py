"""What `din bench days` says about its measurements."""

import pytest

from benchmarks.days import day_table
from benchmarks.days.day_by_day import Figures
from components.base.errors import InputError


def figures(*rows):
    return [Figures(auc, calibration, 1.0, seconds - 1.0, impressions) for auc, calibration, seconds, impressions in rows]


def test_ways_are_compared_on_the_days_whose_window_is_full():
    """Seven days before: the first six models are left out. Values worked out by hand."""
    early = [(0.1, 9.0, 100.0, 10**9)] * 6
    cold = figures(*early, (0.70, 1.0, 10.0, 700), (0.72, 1.2, 30.0, 900))
    warm = figures(*early, (0.71, 0.9, 4.0, 90), (0.70, 1.1, 6.0, 110))
    found = day_table.ratios({"cold, 7 days": cold, "warm, 1 day": warm})["warm, 1 day"]
    assert found == pytest.approx({"auc": -0.005, "seconds": 0.25, "training": 8 / 38, "impressions": 0.125, "mean_calibration": 1.0})
    assert day_table.to_lines({"cold, 7 days": cold, "warm, 1 day": warm}) == [
        "warm, 1 day: AUC -0.0050, 0.25 of the seconds (0.21 of the training's), 0.12 of the impressions of 'cold, 7 days'",
        "Each way pays about 1 s a day for Transform and at least 3 s for a training, however small the day is.",
    ]


def test_a_warm_model_begins_with_a_cold_one():
    ways = {way.name: way for way in day_table.ways()}
    first, later = day_table.configs(ways["warm, with moments"], seed=3)
    assert (first.training.epochs, later.training.epochs, later.training.warm_moments, later.training.seed) == (10, 1, True, 3)
    assert not ways["cold, 7 days"].warm and ways["cold, 7 days"].window == 7


def test_too_few_days_are_one_sentence():
    with pytest.raises(InputError, match="--days 2: it takes 3 days or more"):
        day_table.main(2, 0, as_json=True)
