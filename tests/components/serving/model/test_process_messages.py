"""A message is read as it was written, and a frame that is cut off is an error."""

import io

import numpy as np
import pytest

from components.serving.model.process_messages import read_frame, write_frame

ARRAYS = [
    np.array([[1, -2], [2**62, 0]]),
    np.array([1.5, np.nan], np.float32),
    np.array([], np.int32),
    np.array(True),
    np.array([[b"a\0b\0", b""], [b"\xff", b"long" * 1000]], object),
    np.empty((0, 3), object),
]


def test_messages_and_arrays_come_out_as_they_went_in():
    file = io.BytesIO()
    write_frame(file, ["run", {"n": 1}, None], ARRAYS)
    write_frame(file, "next")
    file.seek(0)
    message, arrays = read_frame(file)
    assert message == ["run", {"n": 1}, None]
    for found, written in zip(arrays, ARRAYS, strict=True):
        assert found.dtype == written.dtype and found.shape == written.shape
        np.testing.assert_array_equal(found, written)
    assert read_frame(file) == ("next", [])
    with pytest.raises(EOFError):
        read_frame(file)


def test_a_frame_that_is_cut_off_is_no_frame():
    file = io.BytesIO()
    write_frame(file, "run", ARRAYS)
    for length in (3, 8, 20, len(file.getvalue()) - 1):
        with pytest.raises(EOFError):
            read_frame(io.BytesIO(file.getvalue()[:length]))


def test_a_pickle_is_not_executed():
    file = io.BytesIO(np.uint64(9).tobytes() + b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError):
        read_frame(file)
