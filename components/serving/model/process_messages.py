"""Messages between two processes: JSON, followed by arrays. Unlike a pickle, a message from an untrusted process executes nothing.

A frame is the length of its head (8 bytes, little-endian), the head as JSON, and the bytes of the arrays in C order. An object array, which
holds bytes, is written as the lengths of its elements (int64) and then the elements.
"""

import json
import struct
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

_LENGTH = struct.Struct("<Q")
_BYTES = "bytes"  # the dtype in the head for an object array


def write_frame(file: IO[bytes], message: Any, arrays: Sequence[np.ndarray] = ()) -> None:
    """Writes a message that JSON can hold, and arrays of numbers, of bools, or of bytes (as objects)."""
    packed = [_pack(array) for array in arrays]
    described = [
        {"dtype": _BYTES if array.dtype == object else array.dtype.str, "shape": array.shape, "size": len(content)}
        for array, content in zip(arrays, packed, strict=True)
    ]
    head = json.dumps({"message": message, "arrays": described}).encode()
    for part in (_LENGTH.pack(len(head)), head, *packed):
        file.write(part)
    file.flush()


def read_frame(file: IO[bytes]) -> tuple[Any, list[np.ndarray]]:
    """Returns the message and the arrays of the next frame.

    Raises:
        EOFError: The file ends before the frame or within it.
        ValueError: The next bytes are not a frame.
    """
    head = json.loads(_read(file, _LENGTH.unpack(_read(file, _LENGTH.size))[0]))
    return head["message"], [_unpack(_read(file, about["size"]), about["dtype"], about["shape"]) for about in head["arrays"]]


def _read(file: IO[bytes], size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _pack(array: np.ndarray) -> bytes:
    if array.dtype != object:
        return array.tobytes()
    elements = array.ravel().tolist()
    return np.array([len(element) for element in elements], np.int64).tobytes() + b"".join(elements)


def _unpack(content: bytes, dtype: str, shape: Sequence[int]) -> np.ndarray:
    if dtype != _BYTES:
        return np.frombuffer(content, dtype).reshape(shape)
    array = np.empty(shape, object)
    lengths = np.frombuffer(content, np.int64, array.size)
    ends = array.size * lengths.itemsize + np.cumsum(lengths)
    array.reshape(-1)[:] = [content[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)]
    return array
