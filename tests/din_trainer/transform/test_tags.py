"""Which tags are read."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.transform.tags import bounded, padded, read_tags

NAN = float("nan")
TAGS = tf.ragged.constant([[b"a", b"", b"b", b"c"], [], [b"", b""], [b"d"]])


def test_the_first_tags_that_are_not_missing_are_read_with_their_weights():
    weights = tf.ragged.constant([[1.0, 2.0, NAN, 4.0], [], [5.0, 6.0], [-7.0]])
    tags, own = read_tags(TAGS, weights, b"", 2)
    assert tags.to_list() == [[b"a", b"b"], [], [], [b"d"]]
    assert own.to_list() == [[1.0, 0.0], [], [], [-7.0]]
    np.testing.assert_array_equal(padded(own, 3), [[1, 0, 0], [0, 0, 0], [0, 0, 0], [-7, 0, 0]])


def test_tags_need_no_weights():
    tags, own = read_tags(tf.ragged.constant([[-1, 5, 0], [-1]], dtype=tf.int64), None, -1, 10)
    assert tags.to_list() == [[5, 0], []] and own is None
    np.testing.assert_array_equal(padded(tags, 2), [[5, 0], [0, 0]])


def test_a_weight_without_a_tag_is_an_error():
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many weights as there are tags"):
        read_tags(TAGS, tf.ragged.constant([[1.0, 2.0, 3.0], [4.0], [5.0, 6.0], [7.0]]), b"", 2)


def test_weights_are_bounded_and_one_that_is_not_finite_is_0():
    """A million is far beyond a weight that was meant; without a bound the sum of two could be infinite."""
    given = tf.constant([3e38, -3e38, 1e6, -1e6, 999999.0, float("inf"), -float("inf"), NAN])
    np.testing.assert_array_equal(bounded(given), np.float32([1e6, -1e6, 1e6, -1e6, 999999.0, 0, 0, 0]))
    tags, weights = read_tags(tf.ragged.constant([[b"a", b"b", b"c"]]), tf.ragged.constant([[3e38, -3e38, 2.0]]), b"", 3)
    assert tags.to_list() == [[b"a", b"b", b"c"]] and weights.to_list() == [[1e6, -1e6, 2.0]]
