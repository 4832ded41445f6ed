"""The buckets of counts."""

import itertools

import pytest

from components.evaluation.count_buckets import bucket, is_bucket


@pytest.mark.parametrize(
    "count, text",
    [(0, "0"), (1, "1-2"), (2, "1-2"), (3, "3-5"), (10, "6-10"), (11, "11-20"), (50, "21-50"), (51, "51-100"), (1000, "501-1000")],
)
def test_buckets(count, text):
    assert bucket(count) == text


def test_buckets_follow_each_other():
    ends = [tuple(map(int, bucket(count).split("-"))) for count in range(1, 3000)]
    assert all(low <= count <= high for count, (low, high) in enumerate(ends, start=1))
    assert all(low == last + 1 for (_, last), (low, _) in itertools.pairwise(dict.fromkeys(ends)))


@pytest.mark.parametrize("text, expected", [("0", True), ("3-5", True), ("21-50", True), ("3-6", False), ("1", False), ("*", False)])
def test_names_of_buckets_are_known(text, expected):
    assert is_bucket(text) is expected
