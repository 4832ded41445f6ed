"""Reads TFRecord files of tf.Examples as Arrow batches, without importing TensorFlow.

A record has TensorFlow's format: length, masked CRC-32C of the length, payload, masked CRC-32C of the payload.
"""

import gzip
import io
import stat
import struct
import zlib
from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

import google_crc32c
import numpy as np
import pyarrow as pa
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from components.base.errors import DataError
from components.base.shards import GZIP_MAGIC

BLOCK = 8192  # records that are read at once
_CHUNK = 1 << 18  # bytes that are read at once
_HEAD, _TAIL = 12, 4  # bytes around the payload of a record
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
CRC_MASK = 0xA282EAD8  # TensorFlow rotates a CRC and adds this
_crc = google_crc32c.value
_LARGEST_RECORD = 2**31  # a protobuf message is smaller
_EMPTY_BODY = b"\x03\x00"  # the compressed form of nothing
_END_OF_EMPTY_MEMBER = bytes(8)  # the checksum and the size of nothing
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def masked_crc(data: bytes) -> bytes:
    """Returns the checksum of bytes as TensorFlow writes it."""
    crc = _crc(data)
    return _CRC.pack((((crc >> 15) | (crc << 17)) + CRC_MASK) & 0xFFFFFFFF)


def frame(record: bytes) -> bytes:
    """Returns a record as it is in a TFRecord file."""
    length = _LENGTH.pack(len(record))
    return b"".join((length, masked_crc(length), record, masked_crc(record)))


def _check_file(path: Path) -> None:
    """Checks what can be checked without reading: a FIFO or a device would be read for ever.

    Raises:
        DataError: The path is not a file with content.
        OSError: The file cannot be read.
    """
    if path.is_symlink() and not path.exists():
        raise DataError(f"{path} is a link to a file that is not there: correct the link, or remove it.")
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind == stat.S_IFDIR:
        raise DataError(f"{path} is a folder, not a file: move its files into {path.parent}, or remove it.")
    if kind in _KINDS:
        raise DataError(f"{path} is {_KINDS[kind]}, not a file: remove it, or put a file in its place.")
    if not path.stat().st_size:
        raise DataError(f"{path} is empty (0 bytes): write or copy it again, or remove it.")


class _Passing(io.RawIOBase):
    """The bytes of a file, from its beginning to its end. Whatever passes enters a hash, and is searched for what TensorFlow does not read.

    At an empty gzip member before others, TensorFlow ends without an error. `cat` makes such files, of an empty file and others or of
    those of bgzip, which all end with an empty member.

    Args:
        file: The file.
        path: For the errors.
        digest: An object of hashlib, or None.
    """

    def __init__(self, file: IO[bytes], path: Path, digest: Any):
        self._file, self._path, self._digest = file, path, digest
        self._is_gzipped: bool | None = None  # not known before the first bytes
        self._end = b""  # the last bytes that passed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        if self._is_gzipped is None:
            self._is_gzipped = data.startswith(GZIP_MAGIC)
        if self._is_gzipped:
            self._search(data)
        if self._digest is not None:
            self._digest.update(data)
        buffer[: len(data)] = data
        return len(data)

    def _search(self, data: bytes) -> None:
        """Raises DataError if TensorFlow would read a part of the file only."""
        reason, near = None, self._end + data
        if near.find(_END_OF_EMPTY_MEMBER + GZIP_MAGIC) >= 0:
            reason = "is gzip files put together, and one of them is empty, after which TensorFlow reads no more"
        elif not data and near.endswith(_END_OF_EMPTY_MEMBER) and not near.startswith(_EMPTY_BODY):
            reason = "has zeros after its gzip content, which TensorFlow cannot read"
        if reason:
            raise DataError(f"{self._path} {reason}: unzip it and gzip it again.")
        self._end = near[-len(_EMPTY_BODY + _END_OF_EMPTY_MEMBER) :]


def _chunks(file: io.BufferedIOBase, path: Path) -> Iterator[list[bytes]]:
    """Yields the records of each part of a file that is read at once."""
    lengths: dict[bytes, int] = {}  # by the head of a record: few lengths occur
    data, index, size, end = b"", 0, 0, 0
    while chunk := file.read(max(_CHUNK, end - size)):
        data += chunk
        records: list[bytes] = []
        tails, place, size = [], 0, len(data)
        while len(head := data[place : place + _HEAD]) == _HEAD:
            length = lengths.get(head)
            if length is None:
                lengths[head] = length = _length(head, path, index + len(records))
            end = place + _HEAD + length + _TAIL
            if end > size:
                break
            records.append(data[place + _HEAD : end - _TAIL])
            tails.append(data[end - _TAIL : end])
            place = end
        _check_crcs(records, tails, path, index)
        yield records
        data, size, end, index = data[place:], size - place, end - place, index + len(records)
    if data:
        _length(data[:_HEAD], path, index)
        raise _damaged(path, index)


def _length(head: bytes, path: Path, index: int) -> int:
    """The length of the record that begins with `head`.

    Raises:
        DataError: No record begins so.
    """
    if len(head) < _HEAD or head[8:] != masked_crc(head[:8]):
        what = "is not a TFRecord file" if index == 0 else f"is damaged after record {index}"
        raise DataError(f"{path} {what}: write it again (impressions as tf.Examples in gzipped TFRecords).")
    length: int = _LENGTH.unpack(head[:8])[0]
    if length >= _LARGEST_RECORD:
        raise _damaged(path, index)
    return length


def _damaged(path: Path, index: int) -> DataError:
    return DataError(f"{path} is truncated or damaged in record {index + 1}: write or copy it again.")


def _check_crcs(records: list[bytes], tails: list[bytes], path: Path, index: int) -> None:
    """Checks the checksums of records, all at once."""
    crcs = np.array([_crc(record) for record in records], np.uint32)
    found = ((crcs >> 15) | (crcs << 17)) + np.uint32(CRC_MASK)
    bad = np.flatnonzero(found != np.frombuffer(b"".join(tails), "<u4"))
    if len(bad):
        raise _damaged(path, index + int(bad[0]))


def read_blocks(path: Path, size: int = BLOCK, digest: Any = None) -> Iterator[list[bytes]]:
    """Yields the serialised records of one TFRecord file, gzipped or not, whatever its name.

    This is faster than TensorFlow's reader, which is slow record by record.

    Args:
        path: The file.
        size: The number of records in each list; the last one may have fewer.
        digest: An object of hashlib that all bytes of the file enter, so that a file is read once; None hashes nothing.

    Raises:
        DataError: The file cannot be read, or it is truncated, damaged or not a TFRecord file, or TensorFlow would read a part of it only.
    """
    block: list[bytes] = []
    try:
        _check_file(path)
        with path.open("rb") as stored, io.BufferedReader(_Passing(stored, path, digest), _CHUNK) as passing:
            gzipped = passing.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC)
            for records in _chunks(gzip.GzipFile(fileobj=passing) if gzipped else passing, path):
                block += records
                while len(block) >= size:
                    yield block[:size]
                    del block[:size]
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}): write or copy it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}): correct its permissions, or remove it.") from error
    if block:
        yield block


def read_records(path: Path) -> Iterator[bytes]:
    """Yields the serialised records of one TFRecord file one by one.

    Raises:
        DataError: As `read_blocks`.
    """
    return chain.from_iterable(read_blocks(path))


def unread_files(folder: Path, read: Collection[Path]) -> list[Path]:
    """Returns the files below a folder that seem to be TFRecords by their names, but are not among those to read; without hidden files."""
    linked = [path for path in folder.iterdir() if path.is_symlink() and path.is_dir()]  # rglob does not follow them
    found = {path for root in (folder, *linked) for path in root.rglob("*tfrecord*")}
    return sorted(path for path in found - set(read) if not path.name.startswith(".") and not path.is_dir())


def decode_examples(records: list[bytes], path: Path) -> pa.RecordBatch:
    """Returns serialised tf.Examples with a column of lists for each feature.

    Raises:
        DataError: A record is not a tf.Example, or a feature has different types in two examples. It names the file `path`.
    """
    try:
        return ExamplesToRecordBatchDecoder().DecodeBatch(records)
    except (RuntimeError, ValueError) as error:
        raise DataError(f"{path} holds records that are not consistent tf.Examples ({error}): write it again.") from error


def read_batches(path: Path, batch_size: int = BLOCK, digest: Any = None) -> Iterator[pa.RecordBatch]:
    """Yields the tf.Examples of one file as Arrow record batches.

    Args:
        path: As for `read_blocks`, like `digest`.
        batch_size: The number of records in each batch; the last one may have fewer.

    Raises:
        DataError: As `read_blocks` or `decode_examples`.
    """
    return (decode_examples(records, path) for records in read_blocks(path, batch_size, digest))
