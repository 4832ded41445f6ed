"""The folder layout: complete or not there, in shards, with a sample."""

import errno
import json
import signal
import subprocess
import sys

import pytest

from components.base.errors import InputError, explain_place
from components.base.tfrecord import read_batches
from pipeline.datasets.layout import DatasetWriter
from tests.conftest import ROOT
from tests.sample_data import make_column, make_impressions, write_dataset


def batch(**changes):
    import pyarrow as pa

    return pa.RecordBatch.from_pydict({name: make_column(values) for name, values in make_impressions(**changes).items()})


def test_what_is_written_is_read_back(tmp_path):
    data = write_dataset(tmp_path / "data")
    (read,) = read_batches(data / "train" / "part-00000.tfrecord.gz")
    for name, values in make_impressions().items():
        assert read.column(name).to_pylist() == [value if isinstance(value, list) else [value] for value in values]
    assert json.loads((data / "manifest.json").read_text())["examples"] == {"train": 4, "validation": 4, "eval": 4}


def test_tensorflow_reads_it_too(tmp_path):
    import tensorflow as tf

    data = write_dataset(tmp_path / "data")
    records = tf.data.TFRecordDataset(str(data / "eval" / "part-00000.tfrecord.gz"), compression_type="GZIP")
    examples = [tf.train.Example.FromString(record.numpy()) for record in records]
    assert [list(e.features.feature["historical_item_ids"].int64_list.value) for e in examples] == [[3], [], [9, 0, 3], [5, 5]]


def test_a_shard_is_begun_when_the_last_is_full(tmp_path):
    with DatasetWriter(tmp_path / "data", shard_size=6) as writer:
        for _ in range(5):
            writer.write("train", batch())
    shards = sorted((tmp_path / "data" / "train").iterdir())
    assert [sum(b.num_rows for b in read_batches(shard)) for shard in shards] == [8, 8, 4]


def test_the_sample_is_ready_for_predict(tmp_path):
    data = write_dataset(tmp_path / "data", {"eval": make_impressions(user_id=[b"ann", b"bob", b"cyd", b"dan"])})
    first = json.loads((data / "sample.jsonl").read_text().splitlines()[0])
    assert first == {
        "user_id": "ann", "candidate_item_id": 5, "candidate_category_id": 1, "historical_item_ids": [3], "historical_category_ids": [0],
        "historical_timestamps": [10], "timestamp": 20, "label": 0,
    }  # fmt: skip


def test_the_sample_has_every_history_as_a_list_and_no_nan(tmp_path):
    """A history of another name was written as its first event, and NaN is not JSON."""
    carts, prices = [[4], [], [1, 2], [3]], [1.5, float("nan"), None, 2.0]
    data = write_dataset(tmp_path / "data", {"eval": make_impressions(cart_item_ids=carts, price=prices)})
    rows = [json.loads(line, parse_constant=pytest.fail) for line in (data / "sample.jsonl").read_text().splitlines()]
    assert [row["cart_item_ids"] for row in rows] == carts
    assert [row.get("price") for row in rows] == [1.5, None, None, 2.0]


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), DatasetWriter(tmp_path / "data") as writer:
        writer.write("train", batch())
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("components.base.tfrecord_writer.TFRecordWriter.close", full)
    with pytest.raises(OSError, match="No space left") as failed, DatasetWriter(tmp_path / "data") as writer:
        writer.write("train", batch())
    assert explain_place(failed.value) == f"{tmp_path / 'data'}: the disk is full: free some space, or name a place on another disk."
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_before_anything_is_written_is_named(tmp_path):
    """The intermediate files of an import are Arrow's, whose errors name no file."""
    with pytest.raises(OSError, match="No space left") as failed, DatasetWriter(tmp_path / "data"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert explain_place(failed.value) == f"{tmp_path / 'data'}: the disk is full: free some space, or name a place on another disk."
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled_in_place(tmp_path):
    """It may be a mount point, or a link to one."""
    (tmp_path / "mount").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mount")
    write_dataset(tmp_path / "link")
    assert (tmp_path / "mount" / "manifest.json").exists() and (tmp_path / "link").is_symlink()
    assert {path.name for path in (tmp_path / "mount").iterdir()} == {"train", "validation", "eval", "sample.jsonl", "manifest.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"mount", "link"}


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from pipeline.datasets.layout import DatasetWriter
with DatasetWriter(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("exists", [False, True])
def test_what_a_killed_writer_left_is_deleted_by_the_next(tmp_path, exists):
    """Also if the next one writes another data set there (case 21)."""
    if exists:
        (tmp_path / "data").mkdir()
    killed = subprocess.run([sys.executable, "-c", KILLED_WRITER, str(tmp_path / "data")], cwd=ROOT)
    place = tmp_path / "data" if exists else tmp_path
    assert killed.returncode == -signal.SIGKILL and len(list(place.glob(".din-unfinished-*"))) == 1
    write_dataset(tmp_path / ("data" if exists else "other"))
    assert not list(place.glob(".*"))


def test_of_two_writers_of_one_folder_the_second_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"data cannot be written \(Directory not empty\)"), DatasetWriter(tmp_path / "data"):
        write_dataset(tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_data_set_has_the_permissions_of_other_new_folders(tmp_path):
    (tmp_path / "plain").mkdir()
    assert write_dataset(tmp_path / "data").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_existing_data_is_not_touched(tmp_path):
    data = write_dataset(tmp_path / "data")
    before = sorted(data.rglob("*"))
    with pytest.raises(InputError, match="exists already"):
        DatasetWriter(data)
    assert sorted(data.rglob("*")) == before
