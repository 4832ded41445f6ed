"""What the MLP reads beside the interest: sums and products, worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.config import ModelConfig
from din_trainer.layers.interactions import interactions_of

# Two impressions; an item has two numbers, a category one, and each event has one further field. The second impression has no events.
QUERY = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
EVENTS = tf.constant([[1.0, 0.0, 2.0, 10.0], [3.0, -1.0, 1.0, 20.0]])
ROWS = tf.constant([0, 0], tf.int64)
INTEREST = tf.constant([[0.5, 1.0, -1.0, 7.0], [0.0, 0.0, 0.0, 0.0]])
SUM = [[4, -1, 3, 30], [0, 0, 0, 0]]


def made(kind, query=QUERY, interest=INTEREST):
    return [np.asarray(x) for x in interactions_of(kind, query, EVENTS, ROWS, interest, [2, 1])]


def test_the_sum_has_all_numbers_of_the_events():
    (summed,) = made("sum")
    np.testing.assert_array_equal(summed, SUM)


def test_elementwise_products_are_those_of_candidate_and_sum():
    summed, products = made("elementwise")
    np.testing.assert_array_equal(summed, SUM)
    np.testing.assert_array_equal(products, [[1 * 4, 2 * -1, 3 * 3], [0, 0, 0]])


def test_inner_products_are_one_number_for_each_behaviour():
    summed, with_sum, with_interest = made("inner")
    np.testing.assert_array_equal(summed, SUM)
    np.testing.assert_array_equal(with_sum, [[1 * 4 + 2 * -1, 3 * 3], [0, 0]])
    np.testing.assert_array_equal(with_interest, [[1 * 0.5 + 2 * 1, 3 * -1], [0, 0]])


def test_the_mean_divides_by_the_events_and_is_0_without_any():
    mean, with_mean, with_interest = made("mean_inner")
    np.testing.assert_array_equal(mean, [[2, -0.5, 1.5, 15], [0, 0, 0, 0]])
    np.testing.assert_array_equal(with_mean, [[1 * 2 + 2 * -0.5, 3 * 1.5], [0, 0]])
    np.testing.assert_array_equal(with_interest, made("inner")[2])


@pytest.mark.parametrize("kind", ["sum", "inner", "elementwise", "mean_inner"])
def test_n_candidates_share_one_sum(kind):
    """Sum and mean have no candidates in them, (B, D + X), so they are made once an impression. The products are of each candidate."""
    queries, interests = (tf.stack([x, 2 * x, -x], axis=1) for x in (QUERY, INTEREST))
    pooled, *products = made(kind, queries, interests)
    assert pooled.shape == (2, 4)
    for number in range(3):
        pooled_alone, *alone = made(kind, queries[:, number], interests[:, number])
        np.testing.assert_array_equal(pooled, pooled_alone)
        for product, expected in zip(products, alone, strict=True):
            np.testing.assert_array_equal(product[:, number], expected)


def test_products_with_the_sum_have_a_gradient_where_the_interest_is_0():
    query = tf.Variable(QUERY)
    with tf.GradientTape() as tape:
        total = tf.add_n([tf.reduce_sum(x) for x in interactions_of("inner", query, EVENTS, ROWS, 0 * INTEREST, [2, 1])])
    np.testing.assert_array_equal(tape.gradient(total, query), [[4, -1, 3], [0, 0, 0]])


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"kind": "pnn"}, "kind = 'pnn' ignores it"),
        ({"kind": "bst"}, "kind = 'bst' ignores it"),
        ({"history": False}, "history = false ignores it"),
    ],
)
def test_a_model_that_would_ignore_the_setting_refuses_it(settings, reason):
    with pytest.raises(ValueError, match=f"interactions = 'sum' is for kind = 'din' with histories, and {reason}: leave it out"):
        ModelConfig.model_validate({"interactions": "sum", **settings})
    assert ModelConfig.model_validate(settings).interactions_read == "none"  # the default is no demand
    assert ModelConfig.model_validate({"interactions": "none", **settings}).interactions_read == "none"
