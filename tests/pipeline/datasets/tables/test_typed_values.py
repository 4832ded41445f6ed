"""Raw columns become typed ones: each kind of value, and those that are not legal."""

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.datasets.tables.typed_values import Typed, id_texts, null_where, numbers, texts, whole_numbers, without_missing

BROKEN = object()


def found(typed: Typed) -> list[Any]:
    return [BROKEN if broken else value for value, broken in zip(typed.values.to_pylist(), typed.broken, strict=True)]


@pytest.mark.parametrize(
    ("raw", "expected", "fractions"),
    [
        (["1", "-2", "", None], [1, -2, None, None], 0),
        (["+2", " 3", "4.0", "1e3", "9223372036854775807"], [2, 3, 4, 1000, 2**63 - 1], 1),
        ([np.float16(1), None], [1, None], 1),
        (["5.5", "0x1F", "1_0", "9223372036854775808", "nan", "inf", "x"], [BROKEN] * 7, 0),
        ([1.0, 25.0, float("nan"), None], [1, 25, None, None], 2),
        ([1.5, 2.0**53, float("inf"), 2.0], [BROKEN, BROKEN, BROKEN, 2], 1),
        ([True, None], [1, None], 0),
        ([Decimal(12345678901234567890), None], [BROKEN, None], 0),
        ([Decimal("9007199254740993"), None], [2**53 + 1, None], 0),
        ([[1], None], [BROKEN, None], 0),
        ([{"a": 1}], [BROKEN], 0),
        ([None], [None], 0),
    ],
)
def test_whole_numbers(raw, expected, fractions):
    typed = whole_numbers(pa.array(raw))
    assert found(typed) == expected and typed.values.type == pa.int64() and typed.fractions == fractions


def test_whole_numbers_have_bounds_and_missing_texts():
    assert found(whole_numbers(pa.array(["-1", "0", "7"]), low=0)) == [BROKEN, 0, 7]
    assert found(whole_numbers(pa.array(["-1", "-1.0", "0", "7"]), ("-1", "NA"), low=0)) == [None, None, 0, 7]
    assert found(whole_numbers(pa.array([2**62, 2**62 + 1, -1]), ("-1", str(2**62)))) == [2**62, 2**62 + 1, None]
    assert found(whole_numbers(pa.array([2**63], pa.uint64()))) == [BROKEN]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (["1.5", "-2", "", "nan", "1e3"], [1.5, -2.0, None, None, 1000.0]),
        (["inf", "x", "1e300", "1_0", " 2"], [BROKEN, BROKEN, BROKEN, BROKEN, 2.0]),
        ([1, None], [1.0, None]),
        ([Decimal("1.5")], [1.5]),
        ([[1.0]], [BROKEN]),
    ],
)
def test_numbers(raw, expected):
    assert found(numbers(pa.array(raw))) == expected


@pytest.mark.parametrize(
    ("raw", "expected", "of_ids"),
    [
        (["a", "", None, "3.0", "4.", "1.50"], [b"a", None, None, b"3.0", b"4.", b"1.50"], [b"a", None, None, b"3", b"4", b"1.50"]),
        (["a\nb", "c\rd", "e\0f", "g\th"], [BROKEN, BROKEN, BROKEN, b"g\th"], None),
        ([5, None], [b"5", None], None),
        ([5.0, 5.5, None], [b"5", BROKEN, None], None),
        ([True, False], [b"true", b"false"], None),
        ([b"\xff", b""], [b"\xff", None], None),
        ([Decimal("5.00")], [b"5"], None),
        ([Decimal("12345678901234567890")], [b"12345678901234567890"], None),
        ([[1]], [BROKEN], None),
    ],
)
def test_texts(raw, expected, of_ids):
    assert found(texts(pa.array(raw))) == expected
    assert found(id_texts(pa.array(raw))) == (of_ids or expected)


def test_texts_of_other_types_are_no_fractions():
    """Codes of a dictionary, also within lists, and texts of one size."""
    for raw in (pa.array(["a", "3.0", None]).dictionary_encode(), pa.array([b"a  ", b"3.0", None], pa.binary(3))):
        assert found(texts(raw)) == [raw[0].as_py().encode() if isinstance(raw[0].as_py(), str) else b"a  ", b"3.0", None]
        assert texts(raw).fractions == 0
    assert texts(pa.array([1.0, None])).fractions == 1


def test_a_part_of_a_column_is_treated_as_the_whole():
    """Arrow's if_else gives wrong texts there."""
    whole = ["" if place % 3 == 0 else f"value {place}" for place in range(100)]
    for begin in (1, 8, 50):
        part = pa.array(whole).slice(begin, 40)
        expected = [text or None for text in whole[begin : begin + 40]]
        assert without_missing(part).to_pylist() == expected
        assert found(texts(part)) == [text and text.encode() for text in expected]
        assert null_where(part, pa.array([True] * 40)).null_count == 40
