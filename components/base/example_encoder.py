"""Encodes a whole Arrow batch as serialised tf.Examples at once, with NumPy and Arrow instead of a call for each row.

An Example is nested messages, and each one begins with its length. So the values of a column are encoded first, one buffer for all rows;
then what comes before them (a head) follows from the name of the column and the number of bytes alone. Arrow puts the pieces together.
The encoding is that of https://protobuf.dev/programming-guides/encoding, the messages are those of tensorflow/core/example/*.proto.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_FIRST, _SECOND = b"\x0a", b"\x12"  # tags of the fields 1 and 2 of any message, where a length follows
_LISTS = {pa.float32(): b"\x12", pa.int64(): b"\x1a", pa.binary(): b"\x0a", pa.large_binary(): b"\x0a"}  # tags in a Feature
_MOST_HEADS = 10_000  # that are kept: the same sizes come again and again
_MISSING = -1  # in place of the number of bytes: the row has no list


def encode_examples(batch: pa.RecordBatch) -> pa.LargeBinaryArray:
    """Returns the serialised tf.Example of each row; features are in the order of the columns. The same batch gives the same bytes.

    Args:
        batch: N rows; columns are (large) lists of int64, float32 or binary. A null row becomes a feature without a list.

    Returns:
        (N,) large_binary.

    Raises:
        TypeError: A column has another type, or a null inside a list.
    """
    pieces = [piece for name, column in zip(batch.schema.names, batch.columns, strict=True) for piece in _encode_column(name, column)]
    sizes = sum(pc.binary_length(piece).to_numpy() for piece in pieces)
    return _join(_heads(np.asarray(sizes), _length_head), *pieces)


def _encode_column(name: str, column: pa.Array) -> tuple[pa.LargeBinaryArray, pa.LargeBinaryArray]:
    """Returns the pieces of each row: the head of the feature, and its values."""
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if not is_list or column.type.value_type not in _LISTS:
        raise TypeError(f"{name} is {column.type}: a tf.Example has lists of int64, float32 or binary.")
    values = column.flatten()
    if values.null_count:
        raise TypeError(f"{name} has a null inside a list: a tf.Example has no nulls.")
    lengths = pc.list_value_length(column)
    data, ends = _encode_values(values)
    rows = ends[_ends((pc.fill_null(lengths, 0) if column.null_count else lengths).to_numpy())]
    sizes = np.diff(rows)
    if column.null_count:
        sizes[column.is_null().to_numpy(zero_copy_only=False)] = _MISSING
    list_tag, packed = _LISTS[column.type.value_type], not _is_bytes(values)
    heads = _heads(sizes, partial(_feature_head, name.encode(), list_tag, packed))
    return heads, pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(column), [None, pa.py_buffer(rows), data])


def _is_bytes(values: pa.Array) -> bool:
    return pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)


def _encode_values(values: pa.Array) -> tuple[pa.Buffer, np.ndarray]:
    """Returns the encoded values one after the other, and where each begins and the last one ends, (M + 1,) int64."""
    if _is_bytes(values):
        items = _join(_heads(pc.binary_length(values).to_numpy(), _length_head), values.cast(pa.large_binary()))
        return items.buffers()[2], np.frombuffer(items.buffers()[1], np.int64)[: len(items) + 1]
    plain = values.to_numpy()
    if pa.types.is_floating(values.type):
        return pa.py_buffer(plain), np.arange(len(plain) + 1) * plain.itemsize
    data, ends = varints(plain)
    return pa.py_buffer(data), ends


def varints(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Encodes integers with seven bits a byte, the lowest first; the high bit says that another byte follows.

    Args:
        values: (M,) int64. A negative one takes 10 bytes.

    Returns:
        All bytes one after the other, (B,) uint8, and where each value begins and the last one ends, (M + 1,) int64.
    """
    rest: np.ndarray = values.view(np.uint64)
    width = max(1, -(-int(rest.max(initial=0)).bit_length() // 7))
    if width <= 4:
        rest = rest.astype(np.uint32)  # half the bytes to go through
    digits, there = np.empty((len(rest), width), np.uint8), np.ones((len(rest), width), bool)
    lengths = np.ones(len(rest), np.uint8)
    for place in range(width - 1):
        low = rest.astype(np.uint8) & 0x7F
        rest = rest >> 7
        longer = rest != 0
        digits[:, place] = low | (longer.view(np.uint8) << 7)
        there[:, place + 1] = longer
        lengths += longer.view(np.uint8)
    digits[:, -1] = rest
    if there.all():
        return digits.ravel(), np.arange(len(rest) + 1) * width
    return digits.ravel()[np.flatnonzero(there)], _ends(lengths)


def _ends(lengths: np.ndarray) -> np.ndarray:
    """(M,) lengths -> where each begins and the last one ends, (M + 1,) int64."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def _varint(value: int) -> bytes:
    """Encodes one length; faster than an array of one."""
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*digits, value))


def _heads(sizes: np.ndarray, head: Callable[[int], bytes]) -> pa.LargeBinaryArray:
    """Returns `head(size)` for each of the (N,) sizes; it is called once for each different size."""
    encoded = pa.array(sizes).dictionary_encode()
    return pa.array([head(size) for size in encoded.dictionary.to_numpy().tolist()], pa.large_binary()).take(encoded.indices)


@lru_cache(_MOST_HEADS)
def _length_head(size: int) -> bytes:
    return _FIRST + _varint(size)


@lru_cache(_MOST_HEADS)
def _feature_head(name: bytes, list_tag: bytes, packed: bool, size: int) -> bytes:
    """Returns what comes before `size` bytes of values: an entry of the map of features has the name and the Feature with its list.

    Args:
        name: The name of the feature.
        list_tag: The tag of the kind of the list.
        packed: Whether the values are one field of numbers; otherwise each value is a field of its own.
        size: Bytes of the values, or `_MISSING`.
    """
    feature = b""
    if size == _MISSING:
        size = 0
    else:
        numbers = _FIRST + _varint(size) if packed and size else b""
        feature = list_tag + _varint(len(numbers) + size) + numbers
    entry = _FIRST + _varint(len(name)) + name + _SECOND + _varint(len(feature) + size) + feature
    return _FIRST + _varint(len(entry) + size) + entry


def _join(*pieces: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """Concatenates the pieces of each row."""
    return pc.binary_join_element_wise(*pieces, pa.scalar(b"", pa.large_binary()))
