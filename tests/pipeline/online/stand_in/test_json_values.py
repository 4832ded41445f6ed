"""Values of JSON become tensors and tensors become JSON as in TF Serving: numbers, texts, base64, and types that JSON has no form for."""

import json

import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.framework.types_pb2 import DT_UINT16
from tensorflow.core.protobuf.meta_graph_pb2 import TensorInfo

from pipeline.online.stand_in.json_requests import parse
from pipeline.online.stand_in.json_tensors import from_base64, read_tensors, write_tensors
from pipeline.online.stand_in.status_error import StatusError


@pytest.mark.parametrize("outputs", [{"x": np.zeros(())}, {"x": np.zeros(2), "y": np.zeros((3, 2))}, {"x": np.zeros(()), "y": np.zeros(1)}])
def test_outputs_that_are_no_rows_are_refused_as_predictions(outputs):
    with pytest.raises(StatusError, match="no rows, or not the same number of them") as raised:
        write_tensors(outputs, by_row=True)
    assert raised.value.code == StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("document", "code"),
    [({"inputs": [1]}, StatusCode.UNIMPLEMENTED), ({"instances": [1]}, StatusCode.INVALID_ARGUMENT)],
)
def test_types_that_json_cannot_hold_are_refused(document, code):
    with pytest.raises(StatusError, match="input 'x' is uint16, which JSON has no form for") as raised:
        read_tensors(document, {"x": TensorInfo(dtype=DT_UINT16)})
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", b""),
        ("YQ", b"a"),
        ("YQ==", b"a"),
        ("YQ..", b"a"),
        ("YR", b"a"),
        ("YWI", b"ab"),
        ("YWI=", b"ab"),
        ("YWJj", b"abc"),
        (" Y\tQ\n=\v=\f\r", b"a"),
        ("YQ=", None),
        ("=", None),
        ("====", None),
        ("YWI==", None),
        ("YWJj=", None),
        ("YWJj====", None),
        ("Y", None),
        ("YQ==YQ==", None),
        ("YQ-_", None),
        ("YQ\u00a0", None),
        ("YQ\x00", None),
    ],
)
def test_base64_is_that_of_absl(text, value):
    """`absl::Base64Unescape`: either no padding or all of it, and spaces anywhere."""
    if value is None:
        with pytest.raises(ValueError):
            from_base64(text)
    else:
        assert from_base64(text) == value


@pytest.mark.parametrize("space", ["\x0b", "\x0c", "\xa0", "\u2028", "\x1c"])
def test_only_four_characters_are_space_in_json(space):
    assert parse(b' \t\r\n{ \t\r\n"a" \t\r\n: 1 } ') == {"a": 1}
    for text in (space + "{}", "{" + space + "}"):
        with pytest.raises(StatusError, match="the body is not JSON"):
            parse(text.encode())


def test_half_a_surrogate_pair_is_refused_or_three_bytes():
    """As RapidJSON 1.1.0: the first half alone is an error, the second half alone is encoded."""

    def read(text):
        return parse(text)["a"].encode("utf-8", "surrogateescape")

    assert read(rb'{"a": "\ud83d\ude00"}') == "\U0001f600".encode()
    assert read(rb'{"a": "\udc82"}') == b"\xed\xb2\x82"
    assert read(b'{"a": "\x82"}') == b"\x82"
    assert read(rb'{"a": "\\ud83d \ud7ff"}') == b"\\ud83d \xed\x9f\xbf"
    for text in (rb'{"a": "\ud83d"}', rb'{"a": "\ud83dx"}', rb'{"a": "\ud83d\u0041"}', rb'{"\ud83d": 1}'):
        with pytest.raises(StatusError, match="half a surrogate pair"):
            parse(text)


def test_numbers_are_those_of_rapidjson():
    assert parse(b'{"a": 18446744073709551616, "a": 1}') == {"a": 2.0**64}  # beyond 64 bits a float; the first of two keys counts
    assert parse(b'{"a": -9223372036854775809}') == {"a": -(2.0**63)} and parse(b'{"a": 18446744073709551615}') == {"a": 2**64 - 1}
    for digits in ("1e400", "-1e400", "1" * 400):
        with pytest.raises(StatusError, match="a number is too large"):
            parse(b'{"a": %s}' % digits.encode())


@pytest.mark.parametrize(("dtype", "value", "found"), [("int8", 300, 44), ("uint8", -1, 255), ("int16", 40_000, -25_536)])
def test_small_integers_are_cut(dtype, value, found):
    """TF Serving checks that they are 32 bits, and puts them into fewer."""
    inputs = {"x": TensorInfo(dtype=tf.as_dtype(dtype).as_datatype_enum)}
    assert read_tensors({"inputs": [value]}, inputs)[0]["x"].tolist() == [found]
    with pytest.raises(StatusError, match="is needed"):
        read_tensors({"inputs": [1 << 31]}, inputs)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "uint16", "complex64"])
def test_outputs_that_json_cannot_hold_are_refused(dtype):
    array = np.ones(2, tf.as_dtype(dtype).as_numpy_dtype)
    for by_row in (True, False):
        with pytest.raises(StatusError, match=f"output 'x' is {tf.as_dtype(dtype).name}, which JSON has no form for") as raised:
            write_tensors({"x": array}, by_row)
        assert raised.value.code == StatusCode.INVALID_ARGUMENT
        assert json.loads(write_tensors({"x": array[:0]}, by_row)) == {"predictions" if by_row else "outputs": []}


def test_floats_have_six_digits_if_those_are_enough():
    values = np.array([0.1, 0.123456791, 16777216, 1e-45], np.float32)
    assert json.loads(write_tensors({"x": values}, True)) == {"predictions": [0.1, 0.123456791, 16777216.0, 1.4013e-45]}
