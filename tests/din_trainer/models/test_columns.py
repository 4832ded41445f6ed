"""Columns in the containers that people use, read into arrays; values by hand. Case 23 of the issue: what `fit` takes."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from din_trainer.models.columns import read_lists, read_scalars

BIG = 2**60 + 1  # not exact as a float


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ([3, 7], [3, 7]),
        ((3, 7), [3, 7]),
        ([[3], [7]], [3, 7]),
        (np.array([[3], [7]], np.int32), [3, 7]),
        (np.array([3.0, 7.0]), [3, 7]),
        (np.array([3, 7], np.uint8), [3, 7]),
        ([True, False], [1, 0]),
        (pd.Series([3, 7], index=[9, 4]), [3, 7]),
        (pd.DataFrame({"a": [3, 7]}), [3, 7]),
        (pd.Series([3, 7], dtype="category"), [3, 7]),
        (tf.constant([3, 7], tf.int32), [3, 7]),
        ([BIG, 7], [BIG, 7]),
        (pd.array([BIG, None], dtype="Int64"), [BIG, None]),
        ([BIG, None], [BIG, None]),
        (pd.Series([3, np.nan]), [3, None]),
        (pd.Series([3, pd.NA], dtype=object), [3, None]),
        ([], []),
    ],
    ids=repr,
)
def test_whole_numbers(column, values):
    read, missing = read_scalars("f", column, "int64")
    assert read.dtype == np.int64
    assert [None if gone else value for value, gone in zip(read.tolist(), missing, strict=True)] == values


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ([1, 2.5], "f: 2.5 in row 1 is not a whole number"),
        ([1, np.inf], "f: inf in row 1 is not a whole number"),
        ([1, "u7"], "f: 'u7' in row 1 is not a number: for text set dtype = 'bytes'"),
        (pd.Series(["u7"]), "f: 'u7' in row 0 is not a number"),
        (pd.Series(["12"], dtype="string"), "f: '12' in row 0 is not a number"),
        (pd.to_datetime(["2026-11-27"]), "f holds dates or times"),
        (np.array([2.0**25], np.float32), "f: 33554432.0 in row 0 is not exact as float32"),
        ([BIG, 0.5], "is not"),
        (np.array([2**63], np.uint64), "f: 9223372036854775808 in row 0 does not fit into int64"),
        ([2**70], "f holds a number that does not fit into 64 bits"),
        ([[1, 2], [3, 4]], "f has lists where one value for each row belongs"),
        (np.zeros((2, 2)), r"f has \(2, 2\) where one value for each row belongs"),
        (np.ma.array([1, 2], mask=[0, 1]), "f is a masked array"),
        (tf.ragged.constant([[1], [2, 3]]), "f is a RaggedTensor where one value"),
        ("abc", "f is 'abc': give an array"),
        (5, "f is 5: give an array"),
    ],
    ids=repr,
)
def test_what_is_no_id_is_named(column, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}" if sentence.startswith("f") else sentence):
        read_scalars("f", column, "int64")


@pytest.mark.parametrize(
    "column",
    [
        [[3, 7], [], [5]],
        [[3, 7], None, [5]],
        pd.Series([[3, 7], np.nan, [5]]),
        pd.Series([np.array([3, 7]), np.array([], int), (5,)], index=[2, 0, 1]),
        np.array([[3, 7], [np.nan, np.nan], [5, np.nan]]),
        tf.ragged.constant([[3, 7], [], [5]], dtype=tf.int32),
        tf.sparse.SparseTensor([[0, 0], [0, 1], [2, 0]], np.array([3, 7, 5]), [3, 2]),
    ],
    ids=lambda column: type(column).__name__,
)
def test_histories(column):
    values, missing = read_lists("h", column, "int64", ["events"])
    assert values.dtype == np.int64
    assert np.where(missing, -9, values).tolist() == [[3, 7], [-9, -9], [5, -9]]


def test_a_last_dimension_of_one_is_no_dimension():
    assert read_lists("h", np.array([[[3], [7]]]), "int64", ["events"]).values.tolist() == [[3, 7]]


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (["1|2", "3"], r"h: '1\|2' in row 0 is not a list of events"),
        ([[1], 2], "h: 2 in row 1 is not a list of events"),
        ([[1], [2, "x"]], "h: 'x' in row 1 is not a number"),
        (np.array([[1, 2], [3, 0.5]]), "h: 0.5 in row 1 is not a whole number"),
        (np.array([1, 2]), r"h has the shape \(2,\) where events for each row belong"),
        (tf.ragged.constant([[[1]]]), r"h has the shape \(1, None, None\)"),
    ],
    ids=repr,
)
def test_a_wrong_history_is_named(column, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        read_lists("h", column, "int64", ["events"])


def test_text_becomes_utf_8():
    for column in (["é", None], pd.Series(["é", None], dtype="string"), np.array(["é", np.nan], object), [b"\xc3\xa9", None]):
        values, missing = read_scalars("f", column, "bytes")
        assert (values[0], missing.tolist()) == (b"\xc3\xa9", [False, True])
    for column, sentence in [
        ([5], "f: 5 in row 0 is not text: set dtype = 'int64'"),
        (["\ud800"], "f: .* is not text that UTF-8 can hold"),
    ]:
        with pytest.raises(ValueError, match=f"^{sentence}"):
            read_scalars("f", column, "bytes")


def test_numbers_are_finite_float32():
    values, missing = read_scalars("f", [1.5, None, 2, np.nan], "float")
    assert values.dtype == np.float32 and values[[0, 2]].tolist() == [1.5, 2.0] and missing.tolist() == [False, True, False, True]
    for wrong, shown in [(np.inf, "inf"), (1e300, r"1e\+300"), ("x", "'x'")]:
        with pytest.raises(ValueError, match=f"^f: {shown} in row 1 is not a"):
            read_scalars("f", [1.0, wrong], "float")
