"""The arithmetic of numbers, with values by NumPy or by hand."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.kinds import Numeric
from din_trainer.transform import numbers

NAN, INF = float("nan"), float("inf")


def numeric(**settings):
    return Numeric(kind="numeric", dtype="float", **settings)


def scaled(values, feature, statistics, dtype=tf.float32):
    return numbers.scaled(numbers.prepared(tf.constant(values, dtype), feature), feature, statistics).numpy()


def test_numbers_that_are_not_finite_are_missing():
    np.testing.assert_array_equal(numbers.finite(tf.constant([1.5, INF, -INF, NAN])), [1.5, NAN, NAN, NAN])


def test_clipping_comes_before_the_logarithm():
    """log(1 + 10), not the logarithm brought between 0 and 10; a negative number keeps its sign."""
    ready = numbers.prepared(tf.constant([100.0, -100.0, 3.0, NAN]), numeric(scale="log", clip=(-5, 10)))
    np.testing.assert_allclose(ready, [np.log(11), -np.log(6), np.log(4), NAN], rtol=1e-15)
    assert ready.dtype == tf.float64


def test_z_scores_are_numpy_s_and_a_missing_number_is_the_mean():
    data = np.array([3.0, 5.0, -1.5])
    result = scaled([3.0, 5.0, -1.5, NAN], numeric(), {"mean": data.mean(), "variance": data.var()})
    np.testing.assert_allclose(result, [*((data - data.mean()) / data.std()), 0], rtol=1e-6)
    assert result.dtype == np.float32


def test_z_scores_are_at_most_ten_thousand_deviations_and_a_constant_number_is_only_centred():
    np.testing.assert_array_equal(scaled([3e38, -3e38], numeric(), {"mean": 0.0, "variance": 1.0}), np.float32([1e4, -1e4]))
    np.testing.assert_array_equal(scaled([7.0, 8.5, NAN], numeric(), {"mean": 7.0, "variance": 0.0}), [0, 1.5, 0])


def test_minmax_is_by_the_range_of_the_training_data_and_never_leaves_0_to_1():
    result = scaled([10.0, 15.0, 30.0, 9.0, 31.0, NAN, INF], numeric(scale="minmax"), {"low": 10.0, "high": 30.0})
    np.testing.assert_array_equal(result, [0, 0.25, 1, 0, 1, 0, 0])


@pytest.mark.parametrize("statistics", [{"low": 7.0, "high": 7.0}, {"low": INF, "high": -INF}])
def test_minmax_of_a_constant_number_and_of_one_without_values_is_0(statistics):
    np.testing.assert_array_equal(scaled([7.0, 8.0, 6.0, NAN], numeric(scale="minmax"), statistics), [0, 0, 0, 0])


def test_ranks_are_interpolated_between_quantiles():
    """The quantiles 1 … 99 of the numbers 0 … 100: the rank is by hand (x − 1) / 98."""
    result = scaled([1.0, 50.0, 25.5, 99.0, 0.0, 1000.0, NAN], numeric(scale="quantile"), {"quantiles": np.arange(1.0, 100.0)})
    np.testing.assert_allclose(result, [0, 0.5, 0.25, 1, 0, 1, 0.5], rtol=1e-6)


def test_ranks_of_a_number_with_many_ties():
    """Of 99 quantiles the first 49 are 0, the others 1, …, 50: 0 has the rank of the last of them."""
    quantiles = np.r_[np.zeros(49), np.arange(1.0, 51.0)]
    result = scaled([-1.0, 0.0, 0.5, 1.0, 50.0], numeric(scale="quantile"), {"quantiles": quantiles})
    np.testing.assert_allclose(result, [0, 48 / 98, 48.5 / 98, 49 / 98, 1], rtol=1e-6)


def test_the_indicator_says_what_is_missing():
    result = scaled([4.0, NAN, INF], numeric(indicator=True), {"mean": 2.0, "variance": 4.0})
    np.testing.assert_array_equal(result, [[1, 0], [0, 1], [0, 1]])


def test_hours_since_events():
    now = tf.constant([7200, 7200, 7200, 7200], tf.int64)
    hours = numbers.log_hours(tf.constant([0, 7200, 9999, -1], tf.int64), now)
    np.testing.assert_allclose(hours, [np.log(3), 0, 0, NAN], rtol=1e-15)  # the third is later than its impression, the last has no time


def test_floats_of_vectors_are_bounded():
    given = tf.constant([[3e38, -3e38], [1e6, -999999.0]])
    np.testing.assert_array_equal(numbers.vector(given), np.float32([[1e6, -1e6], [1e6, -999999.0]]))


def test_vectors_have_zeros_where_they_are_not_finite():
    np.testing.assert_array_equal(numbers.vector(tf.constant([[1.0, INF], [NAN, NAN]])), [[1, 0], [0, 0]])
