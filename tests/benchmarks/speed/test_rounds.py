"""Ratios of alternating rounds, and their intervals."""

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.speed.rounds import ratio_of_rounds


def test_of_nine_rounds_the_interval_is_from_the_second_smallest_to_the_second_largest():
    ratios = [5, 1, 9, 3, 7, 2, 8, 4, 6]
    assert ratio_of_rounds([2 * ratio for ratio in ratios], [2] * 9) == (5, 2, 8)
    assert 1 - 2 * binom.cdf(1, 9, 0.5) == pytest.approx(0.961, abs=1e-3)  # the median lies there unless one side has fewer than two rounds


def test_few_rounds_have_the_interval_from_the_smallest_to_the_largest():
    assert ratio_of_rounds([1, 2, 3], [1, 1, 1]) == (2, 1, 3)


def test_the_interval_covers_the_median_of_a_skewed_distribution():
    rng = np.random.default_rng(0)
    intervals = [ratio_of_rounds(rng.exponential(size=9), np.ones(9)) for _ in range(2000)]
    assert np.mean([low <= np.log(2) <= high for _, low, high in intervals]) == pytest.approx(0.961, abs=0.015)
