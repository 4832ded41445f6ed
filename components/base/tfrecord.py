"""Reads TFRecord files of tf.Examples as Arrow batches, without importing TensorFlow.

A record has TensorFlow's format: length, masked CRC-32C of the length, payload, masked CRC-32C of the payload.
"""

import gzip
import stat
import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import pyarrow as pa
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from components.base.errors import DataError
from components.base.shards import is_gzipped, unreadable_gzip

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
CRC_MASK = 0xA282EAD8  # TensorFlow rotates a CRC and adds this
_LARGEST_RECORD = 2**31  # a protobuf message is smaller
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def masked_crc(data: bytes) -> bytes:
    """Returns the checksum of bytes as TensorFlow writes it."""
    crc = google_crc32c.value(data)
    return _CRC.pack((((crc >> 15) | (crc << 17)) + CRC_MASK) & 0xFFFFFFFF)


def frame(record: bytes) -> bytes:
    """Returns a record as it is in a TFRecord file."""
    length = _LENGTH.pack(len(record))
    return b"".join((length, masked_crc(length), record, masked_crc(record)))


def _check_file(path: Path) -> None:
    """Checks what can be checked without reading: a FIFO or a device would be read for ever.

    Raises:
        DataError: The path is not a file with content, or TensorFlow would read a part of it only.
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
    if reason := unreadable_gzip(path):
        raise DataError(f"{path} {reason}: unzip it and gzip it again.")


def _open_file(path: Path) -> Any:
    return gzip.open(path, "rb") if is_gzipped(path) else open(path, "rb")


def read_records(path: Path) -> Iterator[bytes]:
    """Yields the serialised records of one TFRecord file, gzipped or not, whatever its name.

    Raises:
        DataError: The file cannot be read, or it is truncated, damaged or not a TFRecord file.
    """
    index = 0
    try:
        _check_file(path)
        with _open_file(path) as file:
            while header := file.read(12):
                if len(header) < 12 or header[8:] != masked_crc(header[:8]):
                    what = "is not a TFRecord file" if index == 0 else f"is damaged after record {index}"
                    raise DataError(f"{path} {what}: write it again (impressions as tf.Examples in gzipped TFRecords).")
                (length,) = _LENGTH.unpack(header[:8])
                record, crc = (file.read(length), file.read(4)) if length < _LARGEST_RECORD else (b"", b"")
                if len(record) < length or crc != masked_crc(record):
                    raise DataError(f"{path} is truncated or damaged in record {index + 1}: write or copy it again.")
                yield record
                index += 1
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}): write or copy it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): correct its permissions, or remove it.") from error


def unread_files(folder: Path, read: Collection[Path]) -> list[Path]:
    """Returns the files below a folder that seem to be TFRecords by their names, but are not among those to read; without hidden files."""
    linked = [path for path in folder.iterdir() if path.is_symlink() and path.is_dir()]  # rglob does not follow them
    found = {path for root in (folder, *linked) for path in root.rglob("*tfrecord*")}
    return sorted(path for path in found - set(read) if not path.name.startswith(".") and not path.is_dir())


def read_batches(path: Path, batch_size: int = 8192) -> Iterator[pa.RecordBatch]:
    """Yields the tf.Examples of one file as Arrow record batches, with a column of lists for each feature.

    Raises:
        DataError: As `read_records`, or a record is not a tf.Example, or a feature has different types in two examples.
    """
    decoder = ExamplesToRecordBatchDecoder()
    records: list[bytes] = []

    def decode() -> pa.RecordBatch:
        try:
            return decoder.DecodeBatch(records)
        except (RuntimeError, ValueError) as error:
            raise DataError(f"{path} holds records that are not consistent tf.Examples ({error}): write it again.") from error

    for record in read_records(path):
        records.append(record)
        if len(records) == batch_size:
            yield decode()
            records.clear()
    if records:
        yield decode()
