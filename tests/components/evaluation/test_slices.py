"""Slices by one and by two features, against plain Python."""

import numpy as np
import pyarrow as pa
import pytest

from components.evaluation.slices import slice_rows, slice_text, values_of


def found(columns, count=5):
    return {key: rows.tolist() for key, rows in slice_rows(columns, count)}


def test_without_features_there_is_one_slice_of_all_rows():
    assert found({}) == {(): [0, 1, 2, 3, 4]}


def test_by_one_feature_without_the_rows_that_lack_it():
    column = np.array([b"a", None, b"b", b"a", b"b"], dtype=object)
    assert found({"x": column}) == {(("x", "a"),): [0, 3], (("x", "b"),): [2, 4]}


def test_a_row_with_several_values_is_in_the_slice_of_each():
    tags = pa.array([["a", "b"], [], ["b"], ["a"], ["b", "a"]], pa.list_(pa.binary()))
    hour = np.array([1, 1, 2, 2, 2])
    assert found({"tag": values_of(tags)}) == {(("tag", "a"),): [0, 3, 4], (("tag", "b"),): [0, 2, 4]}
    assert found({"tag": values_of(tags), "hour": hour}) == {
        (("tag", "a"), ("hour", 1)): [0],
        (("tag", "b"), ("hour", 1)): [0],
        (("tag", "b"), ("hour", 2)): [2, 4],
        (("tag", "a"), ("hour", 2)): [3, 4],
    }


def test_by_two_features():
    a, b = np.array([1, 1, 2, 2, 1]), np.array(["u", "v", "u", "u", "u"], dtype=object)
    assert found({"a": a, "b": b}) == {
        (("a", 1), ("b", "u")): [0, 4],
        (("a", 1), ("b", "v")): [1],
        (("a", 2), ("b", "u")): [2, 3],
    }


def test_a_feature_that_is_always_missing_has_no_slices():
    assert found({"x": np.array([None] * 5, dtype=object)}) == {}


@pytest.mark.parametrize("key, text", [((), "overall"), ((("a", 1),), "a=1"), ((("a", "x"), ("b", "1-2")), "a=x, b=1-2")])
def test_text(key, text):
    assert slice_text(key) == text
