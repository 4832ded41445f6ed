"""How far two runs are apart, with values worked out by hand."""

import math

from benchmarks.engines.engine_equality import _exact, _near
from benchmarks.engines.engine_table import _costs_of


def test_the_largest_difference_counts_and_equal_nans_are_equal():
    one, other = {"mean": 2.0, "median": 3.0, "empty": math.nan}, {"mean": 2.0, "median": 3.0 + 6e-12, "empty": math.nan}
    assert _near("statistics", [one, one], 1e-11, relative=True) == ("statistics", "equal", True)
    assert _near("statistics", [one, other], 1e-11, relative=True) == ("statistics", "2.0e-12 relative", True)
    assert _near("statistics", [one, other], 1e-12, relative=True) == ("statistics", "2.0e-12 relative", False)
    assert _near("metrics", [one, other], 1e-11) == ("metrics", "6.0e-12 absolute", True)


def test_a_value_that_became_undefined_or_that_one_run_lacks_is_too_far():
    assert _near("metrics", [{"auc": 0.7}, {"auc": math.nan}], 1e-6) == ("metrics", "inf absolute", False)
    assert _near("metrics", [{"auc": 0.7}, {"auc": 0.7, "gauc": 0.6}], 1e-6) == ("metrics", "1 values are in one run only", False)
    assert _near("metrics", [{}, {}], 1e-6).same is False  # nothing was compared


def test_vocabularies_are_compared_by_their_bytes():
    assert _exact("vocabularies", [{"item": b"3\n1\n"}, {"item": b"3\n1\n"}]) == ("vocabularies", "equal", True)
    assert _exact("vocabularies", [{"item": b"3\n1\n"}, {"item": b"1\n3\n"}]) == ("vocabularies", "different", False)


def test_seconds_are_added_up_and_the_largest_peak_counts():
    steps = {
        "StatisticsGen": {"cpu": 3.0, "wall": 5.0, "peak_mb": 900.0},
        "Trainer": {"cpu": 10.0, "wall": 7.0, "peak_mb": 700.0},
        "Pusher": {"cpu": 1.0, "wall": 1.5, "peak_mb": 800.0},
    }
    assert _costs_of(steps, "StatisticsGen") == steps["StatisticsGen"]
    assert _costs_of(steps, "the other steps") == {"cpu": 11.0, "wall": 8.5, "peak_mb": 800.0}
    assert _costs_of(steps, "all steps") == {"cpu": 14.0, "wall": 13.5, "peak_mb": 900.0}
