"""The buckets of numbers, against NumPy's `digitize`."""

import numpy as np
import tensorflow as tf

from din_trainer.transform.buckets import bucket_ids

NAN = float("nan")


def test_a_number_at_a_boundary_is_in_the_bucket_above():
    boundaries = (-1.5, 0.0, 18.0)
    values = np.array([-2, -1.5, -1.4, 0, 17.999, 18, 1e30])
    np.testing.assert_array_equal(bucket_ids(tf.constant(values), boundaries), 1 + np.digitize(values, boundaries))
    np.testing.assert_array_equal(bucket_ids(tf.constant(values), boundaries), [1, 2, 2, 3, 3, 4, 4])


def test_single_precision_numbers_meet_the_boundaries_that_were_written():
    """0.7 in single precision is less than 0.7 in double precision, and 0.1 is more. Both are at their boundaries."""
    np.testing.assert_array_equal(bucket_ids(tf.constant([0.7, 0.1], tf.float32), (0.1, 0.7)), [3, 2])


def test_missing_numbers_have_the_last_id():
    np.testing.assert_array_equal(bucket_ids(tf.constant([NAN, float("inf"), -float("inf"), 5.0]), (1.0, 2.0)), [4, 4, 4, 3])


def test_equal_quantiles_leave_buckets_empty():
    np.testing.assert_array_equal(bucket_ids(tf.constant([0.0, 1.0, 2.0]), tf.constant([1.0, 1.0, 1.0])), [1, 4, 4])
