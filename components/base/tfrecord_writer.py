"""Writes Arrow batches as gzipped TFRecord files of tf.Examples, in threads and without importing TensorFlow.

The file is one gzip stream whose parts are compressed at the same time, as pigz does: each part needs no part before it.
"""

import struct
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.cores import usable_cores
from components.base.example_encoder import encode_examples
from components.base.tfrecord import CRC_MASK, masked_crc

_ROWS = 8192  # that are encoded and compressed at once
_LEVEL = 1  # ids become as small as at level 6, in a third of the time
_HEAD = bytes.fromhex("1f8b08000000000004ff")  # RFC 1952: deflate, no name, no time, the fastest level, no system
_LAST_BLOCK = b"\x03\x00"  # RFC 1951: a last block without content


class TFRecordWriter:
    """Writes Arrow record batches as a gzipped TFRecord file of tf.Examples. The same batches give the same bytes.

    Args:
        path: The file to write. Its name should end in `.tfrecord.gz`.
        pool: Threads that encode and compress, some thousand rows each: NumPy, Arrow and zlib do not hold Python's lock meanwhile.
    """

    def __init__(self, path: Path, pool: ThreadPoolExecutor):
        self._file = open(path, "wb")
        self._file.write(_HEAD)
        self._crc, self._size = 0, 0
        self._pool = pool
        self._waiting: deque[Future[tuple[pa.Buffer, bytes]]] = deque()

    def write(self, batch: pa.RecordBatch) -> None:
        """Appends one tf.Example for each row. Columns are (large) lists of int64, float32 or binary.

        Raises:
            OSError: The disk is full or cannot be written; perhaps for an earlier batch.
        """
        for begin in range(0, batch.num_rows, _ROWS):
            self._submit(self._pool.submit(_encode, batch.slice(begin, _ROWS)))

    def write_examples(self, examples: pa.LargeBinaryArray) -> None:
        """Appends some thousand serialised tf.Examples.

        Raises:
            OSError: As `write`.
        """
        self._submit(self._pool.submit(_compress, examples))

    def _submit(self, part: Future[tuple[pa.Buffer, bytes]]) -> None:
        self._waiting.append(part)
        while len(self._waiting) > usable_cores():  # so that memory does not grow
            self._append_next()

    def _append_next(self) -> None:
        plain, compressed = self._waiting.popleft().result()
        self._crc, self._size = zlib.crc32(plain, self._crc), self._size + plain.size
        self._file.write(compressed)

    def close(self) -> None:
        """Writes what is left."""
        with self._file:
            while self._waiting:
                self._append_next()
            self._file.write(_LAST_BLOCK + struct.pack("<II", self._crc, self._size % 2**32))


def _encode(batch: pa.RecordBatch) -> tuple[pa.Buffer, bytes]:
    return _compress(encode_examples(batch))


def _compress(examples: pa.LargeBinaryArray) -> tuple[pa.Buffer, bytes]:
    """Returns the records of a batch, plain and compressed."""
    plain = _framed(examples)
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return plain, deflate.compress(plain) + deflate.flush(zlib.Z_SYNC_FLUSH)


def _framed(records: pa.LargeBinaryArray) -> pa.Buffer:
    """Returns the records of a batch as they are in a file, one after the other."""
    _, offsets, data = records.buffers()
    ends, payload, crc = np.frombuffer(offsets, np.int64)[: len(records) + 1], data.to_pybytes(), google_crc32c.value
    crcs = np.array([crc(payload[begin:end]) for begin, end in pairwise(ends.tolist())], np.uint32)
    masked = ((crcs >> 15) | (crcs << 17)) + np.uint32(CRC_MASK)
    tails = pa.Array.from_buffers(pa.binary(4), len(records), [None, pa.py_buffer(masked.astype("<u4"))]).cast(pa.large_binary())
    lengths = pa.array(np.diff(ends)).dictionary_encode()
    heads = [_record_head(length) for length in lengths.dictionary.to_numpy().tolist()]
    pieces = (pa.array(heads, pa.large_binary()).take(lengths.indices), records, tails, pa.scalar(b"", pa.large_binary()))
    return pc.binary_join_element_wise(*pieces).buffers()[2]


@lru_cache(10_000)
def _record_head(length: int) -> bytes:
    return (packed := struct.pack("<Q", length)) + masked_crc(packed)
