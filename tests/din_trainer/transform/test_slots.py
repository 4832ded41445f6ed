"""Raw features as slots, and events cut to the most recent ones."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.transform import slots

NAN = float("nan")


def sparse(rows, dtype):
    return tf.ragged.constant(rows, dtype=dtype).to_sparse()


def test_integers_that_are_numbers_have_no_missing_value():
    np.testing.assert_array_equal(slots.numbers(sparse([[-1], [], [2**53 - 1]], tf.int64), False).values, [-1, NAN, 2**53 - 1])


def test_the_most_recent_events_are_kept_from_the_left():
    own = slots.single_values(sparse([[1, 2, 3], [], [4]], tf.int64), -1, True)
    np.testing.assert_array_equal(own.padded(own.values * 10, 2), [[20, 30], [0, 0], [40, 0]])
    pairs = tf.stack([own.values, -own.values], axis=1)
    np.testing.assert_array_equal(own.padded(pairs, 2), [[[2, -2], [3, -3]], [[0, 0], [0, 0]], [[4, -4], [0, 0]]])


def test_vectors():
    own = slots.vectors(sparse([[1, 2], [], [3, 4]], tf.float32), 2, False, "image")
    np.testing.assert_array_equal(own.padded(own.values, 9), [[1, 2], [NAN, NAN], [3, 4]])


def test_vectors_of_events():
    own = slots.vectors(sparse([[1, 2, 3, 4, 5, 6], [], [7, 8]], tf.float32), 2, True, "image")
    np.testing.assert_array_equal(own.padded(own.values, 2), [[[3, 4], [5, 6]], [[0, 0], [0, 0]], [[7, 8], [0, 0]]])


@pytest.mark.parametrize("rows", [[[1, 2, 3], [4]], [[1], []], [[], [1, 2, 3, 4]]])
def test_a_vector_with_a_wrong_number_of_floats_is_an_error_even_if_another_one_makes_up_for_it(rows):
    with pytest.raises(tf.errors.InvalidArgumentError, match="each vector of image must have 2 floats, or none"):
        slots.vectors(sparse(rows, tf.float32), 2, False, "image")


def test_a_vector_of_an_event_with_a_wrong_number_of_floats_is_an_error():
    with pytest.raises(tf.errors.InvalidArgumentError, match="each vector of image must have 2 floats, in each event"):
        slots.vectors(sparse([[1, 2, 3], [4]], tf.float32), 2, True, "image")


def test_tags_of_events():
    own = slots.lists(sparse([[1, 2, 3], [], [4]], tf.int64), sparse([[2, 0, 1], [], [1]], tf.int64), "tags")
    assert own.values.to_list() == [[1, 2], [], [3], [4]]
    np.testing.assert_array_equal(
        own.padded(own.values.to_tensor(0, shape=[None, 2]), 2), [[[0, 0], [3, 0]], [[0, 0], [0, 0]], [[4, 0], [0, 0]]]
    )


@pytest.mark.parametrize("lengths", [[[1], [2]], [[3, -1], [1]], [[2**63 - 1, 2**63 - 1, 4], [1]], [[], [1]]])
def test_lengths_that_do_not_add_up_to_the_tags_of_their_impression_are_an_error(lengths):
    """The first has as many tags as there are, in other impressions; the third adds up to 2 if its sum overflows."""
    with pytest.raises(tf.errors.InvalidArgumentError, match="must add up to the values that each impression has of tags"):
        slots.lists(sparse([[1, 2], [3]], tf.int64), sparse(lengths, tf.int64), "tags")
