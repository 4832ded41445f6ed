"""TFRecord files as they are written: in order, the same bytes each time, readable by TensorFlow and gzip."""

import errno
import gzip
import struct
from concurrent.futures import ThreadPoolExecutor

import google_crc32c
import numpy as np
import pyarrow as pa
import pytest

from components.base.example_encoder import encode_examples
from components.base.tfrecord import read_batches
from components.base.tfrecord_writer import TFRecordWriter
from tests.sample_data import write_records


def integers(values):
    return pa.RecordBatch.from_pydict({"a": pa.array([[value] for value in values], pa.list_(pa.int64()))})


def test_the_format_of_a_record(tmp_path):
    """TensorFlow's: length, masked CRC of the length, payload, masked CRC of the payload."""

    def masked(data):
        crc = google_crc32c.value(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32)

    batch = integers([300, -1])
    length, records = struct.Struct("<Q"), encode_examples(batch).to_pylist()
    expected = b"".join(length.pack(len(r)) + masked(length.pack(len(r))) + r + masked(r) for r in records)
    assert gzip.decompress(write_records(tmp_path / "a.gz", batch).read_bytes()) == expected


def test_order_is_kept_and_threads_change_no_byte(tmp_path):
    """Batches of different sizes are compressed at the same time, some of them in several parts."""
    rng = np.random.default_rng(0)
    batches = [integers(rng.integers(0, 10**12, size)) for size in (20_000, 1, 300, 0, 9_000, 5)]
    one, many = (write_records(tmp_path / f"{threads}.gz", *batches, threads=threads) for threads in (1, 4))
    assert one.read_bytes() == many.read_bytes()
    assert pa.Table.from_batches(list(read_batches(many))).to_pydict() == pa.Table.from_batches(batches).to_pydict()


def test_tensorflow_reads_all_parts_of_the_gzip_stream(tmp_path):
    import tensorflow as tf

    path = write_records(tmp_path / "a.gz", *(integers(range(begin, begin + 3)) for begin in range(0, 30, 3)))
    records = tf.data.TFRecordDataset(str(path), compression_type="GZIP")
    parsed = [tf.train.Example.FromString(r.numpy()).features.feature["a"].int64_list.value[0] for r in records]
    assert parsed == list(range(30))


def test_a_file_without_records_is_whole(tmp_path):
    assert gzip.decompress(write_records(tmp_path / "a.gz").read_bytes()) == b""


def test_an_error_of_the_disk_comes_to_the_caller(tmp_path):
    """/dev/full refuses each write as a full disk does."""
    with ThreadPoolExecutor(1) as pool, pytest.raises(OSError) as failed:
        writer = TFRecordWriter(tmp_path.joinpath("/dev/full"), pool)
        writer.write(integers(range(100_000)))
        writer.close()
    assert failed.value.errno == errno.ENOSPC


def test_an_error_of_the_encoder_comes_to_the_caller(tmp_path):
    with ThreadPoolExecutor(1) as pool, pytest.raises(TypeError, match="a is list<item: double>"):
        writer = TFRecordWriter(tmp_path / "a.gz", pool)
        writer.write(pa.RecordBatch.from_pydict({"a": pa.array([[1.0]])}))
        writer.close()
