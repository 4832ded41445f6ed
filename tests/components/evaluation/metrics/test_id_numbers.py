"""Numbers for ids, and for requests within users."""

import numpy as np

from components.evaluation.metrics.id_numbers import numbers, numbers_within


def test_numbers_in_order_of_appearance():
    assert numbers(np.array([7, 3, 7])).tolist() == [0, 1, 0]
    assert numbers(np.array([b"x", None, b"x", b"y"], object)).tolist() == [0, -1, 0, 1]


def test_request_ids_that_are_unique_only_within_a_user():
    user, request = np.array([1, 1, 2, 2, 2]), np.array([5, 6, 5, None, 5], object)
    found = numbers_within(user, request)
    assert found[3] == -1 and found[2] == found[4]
    assert len({found[0], found[1], found[2]}) == 3
