"""Hashes and crosses."""

import numpy as np
import tensorflow as tf

from din_trainer.transform import hashes


def bucket(text, buckets):
    return int(tf.strings.to_hash_bucket_fast(text, buckets))


def test_hashes_are_farmhash_of_the_text_and_a_missing_value_has_the_last_id():
    values = tf.constant(["a", "", "-1", "\x00 é"])
    np.testing.assert_array_equal(
        hashes.hash_ids(values, 1000), [1 + bucket("a", 1000), 1001, 1 + bucket("-1", 1000), 1 + bucket("\x00 é", 1000)]
    )


def test_integers_are_hashed_as_their_text():
    values = tf.constant([[7, -1], [2**63 - 1, -2]], tf.int64)
    expected = [[1 + bucket("7", 50), 51], [1 + bucket("9223372036854775807", 50), 1 + bucket("-2", 50)]]
    np.testing.assert_array_equal(hashes.hash_ids(values, 50), expected)


def test_a_cross_joins_texts_and_a_missing_part_is_empty():
    item, city = tf.constant([5, -1, 5], tf.int64), tf.constant([b"x", b"y", b""])
    assert hashes.crossed([item, city]).numpy().tolist() == [b"5\x1fx", b"\x1fy", b"5\x1f"]
    assert hashes.crossed([item, city, tf.constant([3, 4, 4], tf.int64)]).numpy().tolist() == [b"5\x1fx\x1f3", b"\x1fy\x1f4", b"5\x1f\x1f4"]


def test_hashed_crosses_are_farmhash_of_the_joined_text():
    np.testing.assert_array_equal(hashes.cross_ids(tf.constant(["5\x1fx", "\x1f"]), 10), [1 + bucket("5\x1fx", 10), 1 + bucket("\x1f", 10)])
