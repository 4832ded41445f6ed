"""Files of a data set that are missing, damaged, changed or no TFRecords are named, and those that stay the same are not read again."""

import gzip
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.base.errors import InputError
from components.base.tfrecord import frame, read_blocks, read_records
from pipeline.run.checks.check_impressions import _check_shard, check_data, check_unchanged
from pipeline.run.checks.quick_batches import quick_batches
from tests.pipeline.run.checks.refused_data import FEATURES, refused
from tests.sample_data import make_impressions, write_dataset


def test_missing_folder(tmp_path):
    assert "nowhere is not a folder: give --data" in refused(tmp_path / "nowhere")


def test_empty_folder(tmp_path):
    assert f"{tmp_path / 'train'} holds no TFRecord files" in refused(tmp_path)


def test_a_path_that_is_a_pattern(tmp_path):
    assert "TFX cannot work below a path with *, ? or [ in it" in refused(tmp_path / "b [1]")


def test_missing_split(data):
    (data / "validation" / "part-00000.tfrecord.gz").unlink()
    assert f"{data / 'validation'} holds no TFRecord files" in refused(data)


def test_not_tfrecords(data):
    file = data / "train" / "part-00000.tfrecord.gz"
    file.write_bytes(gzip.compress(b"user_id,item_id\n1,2\n"))
    assert refused(data).startswith(f"{file} is not a TFRecord file")


@pytest.mark.parametrize("name", ["part-00000.tfrecord", "part-00000.tfrecords.gz", "data_tfrecord-00000-of-00001", "part-00000"])
@pytest.mark.parametrize("gzipped", [True, False])
def test_shards_are_known_by_their_content_whatever_their_names(data, name, gzipped):
    shard = data / "train" / "part-00000.tfrecord.gz"
    content = shard.read_bytes()
    shard.unlink()
    (data / "train" / name).write_bytes(content if gzipped else gzip.decompress(content))
    for left in ("_SUCCESS", "._SUCCESS.crc", ".part-00000.crc", f"{name}.crc"):
        (data / "train" / left).touch()
    assert check_data(data, FEATURES).examples["train"] == 4


def test_an_empty_file_beside_whole_ones(data):
    file = data / "train" / "part-00001.tfrecord.gz"
    file.touch()
    assert refused(data) == f"{file} is empty (0 bytes): write or copy it again, or remove it."


def test_a_folder_among_the_shards_is_refused(data, tmp_path):
    """ExampleGen reads the files of one folder. Without this check, a part of a data set could be left out without a word."""
    (data / "train" / "2016").mkdir()
    assert refused(data).startswith(f"{data / 'train' / '2016'} is a folder, not a file: move its files into {data / 'train'}")


def test_a_split_may_be_a_link_but_not_a_folder_in_it(data, tmp_path):
    write_dataset(tmp_path / "more")
    (data / "train" / "more").symlink_to(tmp_path / "more" / "train")
    assert refused(data).startswith(f"{data / 'train' / 'more'} is a folder, not a file")
    (data / "train" / "more").unlink()
    (data / "eval").rename(tmp_path / "eval")
    (data / "eval").symlink_to(tmp_path / "eval")
    assert check_data(data, FEATURES).examples["eval"] == 4  # a split may be a link


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "is a FIFO, not a file"),
        (Path.mkdir, "is a folder, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device, not a file"),
        (lambda path: path.symlink_to("nowhere"), "is a link to a file that is not there"),
    ],
)
def test_what_is_no_file_is_never_read(data, make, kind):
    """Reading a FIFO without a writer would hang."""
    file = data / "train" / "part-00001.tfrecord.gz"
    make(file)
    assert refused(data).startswith(f"{file} {kind}: ")


def test_a_socket_is_no_file(data, tmp_path, monkeypatch):
    monkeypatch.chdir(data / "train")  # since the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.tfrecord.gz")
        assert "s.tfrecord.gz is a socket, not a file" in refused(data)


def test_a_record_of_an_impossible_length(data):
    from components.base.tfrecord import masked_crc

    length = (2**60).to_bytes(8, "little")
    (data / "train" / "part-00000.tfrecord.gz").write_bytes(gzip.compress(length + masked_crc(length) + b"x"))
    assert "is truncated or damaged in record 1" in refused(data)


def test_a_file_that_changes_after_the_check_is_named(data):
    facts = check_data(data, FEATURES)
    check_unchanged(facts)
    gone, changed = (data / split / "part-00000.tfrecord.gz" for split in ("train", "eval"))
    changed.write_bytes(changed.read_bytes()[:-4])
    with pytest.raises(InputError, match=rf"^{changed} has changed since this run checked it: leave the data as it is during a run"):
        check_unchanged(facts)
    gone.unlink()
    with pytest.raises(InputError, match=rf"^{gone} is gone since this run checked it"):
        check_unchanged(facts)


@pytest.mark.parametrize("keep", [10, 60, -4])
def test_truncated_gzip(data, keep):
    file = data / "eval" / "part-00000.tfrecord.gz"
    file.write_bytes(file.read_bytes()[:keep])
    assert refused(data).startswith(f"{file} ")


@pytest.mark.parametrize("known", [None, "known.json"])
def test_a_file_that_changes_while_it_is_checked_is_named(data, tmp_path, monkeypatch, known):
    """Otherwise the facts would be those of the old content, and the fingerprint that of the new one."""

    def changed(shard, features):
        facts = _check_shard(shard, features)
        shard.write_bytes(gzip.compress(gzip.decompress(shard.read_bytes()), 9))
        return facts

    monkeypatch.setattr("pipeline.run.checks.check_impressions._check_shard", changed)
    with pytest.raises(InputError, match=r"has changed since this run checked it: leave the data as it is"):
        check_data(data, FEATURES, known and tmp_path / known)


@pytest.mark.parametrize("parts", [[0, 4], [1, 0, 3]])
def test_gzip_members_that_end_tensorflows_reading_are_refused(data, parts):
    """TensorFlow stops at an empty member without an error, so that a part of the data would be left out without a word."""
    file = data / "train" / "part-00000.tfrecord.gz"
    file.write_bytes(gzip_members(file, parts))
    assert refused(data).startswith(f"{file} is gzip files put together, and one of them is empty, after which TensorFlow reads no more")


def test_zeros_after_the_gzip_content_are_refused(data):
    """Python passes over them, and TensorFlow fails in the middle of the run."""
    file = data / "train" / "part-00000.tfrecord.gz"
    file.write_bytes(file.read_bytes() + bytes(512))
    assert refused(data) == f"{file} has zeros after its gzip content, which TensorFlow cannot read: unzip it and gzip it again."


@pytest.mark.parametrize("parts", [[1, 3], [4, 0], [1, 1, 2]])
def test_gzip_members_that_tensorflow_reads(tmp_path, monkeypatch, parts):
    file = large(tmp_path, monkeypatch) / "train" / "part-00000.tfrecord.gz"
    file.write_bytes(gzip_members(file, parts))
    assert len(list(tf.data.TFRecordDataset(str(file), compression_type="GZIP"))) == 4
    assert check_data(file.parents[1], FEATURES).examples["train"] == 4


def gzip_members(file, parts):
    """The records of a shard in gzip members with the given numbers of records."""
    records = list(read_records(file))
    ends = np.cumsum(parts)
    return b"".join(gzip.compress(b"".join(map(frame, records[end - part : end]))) for part, end in zip(parts, ends, strict=True))


def test_a_flipped_bit(data):
    file = data / "eval" / "part-00000.tfrecord.gz"
    plain = bytearray(gzip.decompress(file.read_bytes()))
    plain[40] ^= 1
    file.write_bytes(gzip.compress(bytes(plain)))
    assert "is truncated or damaged in record 1" in refused(data)


def test_records_that_are_no_examples(data):
    from components.base.tfrecord import frame

    (data / "train" / "part-00000.tfrecord.gz").write_bytes(gzip.compress(frame(b"\xff\xff\xff")))
    assert "holds records that are not consistent tf.Examples" in refused(data)


def test_a_shard_that_stays_the_same_is_not_read_again(data, tmp_path, monkeypatch):
    known = tmp_path / "checks" / "known.json"
    facts = check_data(data, FEATURES, known)
    read = []
    monkeypatch.setattr(
        "pipeline.run.checks.check_impressions.read_blocks", lambda file, **named: read.append(file) or read_blocks(file, **named)
    )
    assert check_data(data, FEATURES, known) == facts
    assert read == []
    shard = data / "eval" / "part-00000.tfrecord.gz"
    content, stat = shard.read_bytes(), shard.stat()
    shard.write_bytes(content)  # the same size and content
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert check_data(data, FEATURES, known).examples == facts.examples
    assert set(read) == {shard}


def test_a_shard_that_becomes_wrong_is_found_in_spite_of_what_is_known(data, tmp_path):
    known = tmp_path / "known.json"
    check_data(data, FEATURES, known)
    shard = data / "eval" / "part-00000.tfrecord.gz"
    stat, damaged = shard.stat(), bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    shard.write_bytes(damaged)
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(InputError, match=f"^{shard} "):
        check_data(data, FEATURES, known)


@pytest.mark.parametrize("content", ["", "no JSON", "[1]", '{"x": 1}'])
def test_what_is_known_may_be_damaged(data, tmp_path, content):
    known = tmp_path / "known.json"
    known.write_text(content)
    assert check_data(data, FEATURES, known).examples["eval"] == 4
    assert known.read_text().startswith('{"')


def large(tmp_path, monkeypatch, **columns):
    """A data set whose shards count as large."""
    for name in ("_LARGE", "_FIRST"):
        monkeypatch.setattr(f"pipeline.run.checks.check_impressions.{name}", 2)
    return write_dataset(tmp_path / "d", {"train": make_impressions(**columns)} if columns else None)


def test_large_shards_are_read_quickly_with_the_same_result(tmp_path, monkeypatch):
    slow = check_data(write_dataset(tmp_path / "slow"), FEATURES)
    data = large(tmp_path, monkeypatch)
    used = []
    monkeypatch.setattr("pipeline.run.checks.check_impressions.quick_batches", lambda *args: used.append(args) or quick_batches(*args))
    found = check_data(data, FEATURES)
    assert len(used) == 3
    assert (found.examples, found.columns) == (slow.examples, slow.columns)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [0, 1, 0, 2]}, "impression 4: the label must be 0 or 1."),
        (
            {"candidate_item_id": [1, 2, 3, -4]},
            "impression 4: feature 'candidate_item_id' holds a negative id (-4): ids must be 0 or more",
        ),
        ({"user_id": [b"a", b"b", b"c", b"d"]}, "feature 'user_id' is bytes, but int64 is declared: change one of the two."),
    ],
)
def test_what_is_wrong_in_large_shards_is_named_as_in_small_ones(tmp_path, monkeypatch, columns, message):
    assert message in refused(large(tmp_path, monkeypatch, **columns))


def test_times_that_begin_late_in_a_large_shard_are_checked(tmp_path, monkeypatch):
    """The first impressions of a shard that say which columns it has have no times; a later one has an event from the future."""
    late = {"timestamp": [[], [], [], [10]], "historical_timestamps": [[], [], [], [5, 11]], "historical_item_ids": [[], [], [], [5, 5]]}
    message = refused(large(tmp_path, monkeypatch, **late, historical_category_ids=[[], [], [], [1, 1]]))
    assert "impression 4: its history holds an event after the impression" in message


def test_a_damaged_large_shard_is_named(tmp_path, monkeypatch):
    shard = large(tmp_path, monkeypatch) / "train" / "part-00000.tfrecord.gz"
    records = bytearray(gzip.decompress(shard.read_bytes()))
    records[-1] ^= 1
    shard.write_bytes(gzip.compress(records))
    assert refused(shard.parents[1]) == f"{shard} is truncated or damaged in record 4: write or copy it again."


@pytest.mark.parametrize("cut", [1, 9, 20, 40, 300])
def test_a_truncated_large_shard_is_named(tmp_path, monkeypatch, cut):
    """TensorFlow's reader takes the last records of a truncated gzip file for its end, without an error."""
    shard = (
        large(tmp_path, monkeypatch, **{name: values * 100 for name, values in make_impressions().items()})
        / "train"
        / "part-00000.tfrecord.gz"
    )
    shard.write_bytes(shard.read_bytes()[:-cut])
    assert refused(shard.parents[1]).startswith(f"{shard} is not a whole gzip file")
