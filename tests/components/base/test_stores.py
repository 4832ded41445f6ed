"""Names of places become paths of this machine or of an object store, and what is wrong with a store is said in one sentence."""

import gzip
import hashlib
from pathlib import Path

import pytest

from components.base import shards
from components.base.errors import InputError
from components.base.shards import ShardState, copy_shard, hash_shard, shard_files
from components.base.stores import check_store, content_tag, is_store, named_path


def test_a_name_without_a_protocol_is_a_path_of_this_machine(tmp_path):
    assert named_path(str(tmp_path)) == tmp_path and isinstance(named_path("data"), Path)
    assert not is_store(str(tmp_path))
    assert content_tag(tmp_path) == ""
    check_store(tmp_path / "nowhere")  # whoever reads it has a better sentence


def test_a_folder_of_a_bucket_is_listed_as_one_of_this_machine(bucket):
    for name in ("b.tfrecord.gz", "a.tfrecord", "_SUCCESS", ".part-0.crc"):
        (bucket / "data" / "train" / name).write_bytes(b"x")
    data = named_path(f"{bucket}data/")
    assert str(data) == f"{bucket}data" and named_path(str(data)) == data
    assert [path.name for path in shard_files(data / "train")] == ["a.tfrecord", "b.tfrecord.gz"]
    assert shard_files(data / "nowhere") == []
    (data / "train" / "c.tfrecord").write_bytes(b"x")  # listings are not cached
    assert len(shard_files(data / "train")) == 3


def test_a_shard_of_a_bucket_is_copied_and_hashed_and_changes_with_its_content(bucket, tmp_path):
    shard = bucket / "train" / "a.tfrecord.gz"
    shard.write_bytes(gzip.compress(b"records", mtime=0))
    content = shard.read_bytes()
    assert copy_shard(shard, tmp_path / "copy.gz") == hash_shard(shard) == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "copy.gz").read_bytes() == content
    before = ShardState.of(shard)
    assert before == ShardState.of(shard) and before.tag == f'"{hashlib.md5(content).hexdigest()}"'  # S3's ETag of a small object
    shard.write_bytes(bytes(reversed(content)))
    assert ShardState.of(shard) != before
    assert hash_shard(shard) == hashlib.sha256(bytes(reversed(content))).hexdigest()


def test_a_shard_is_not_read_again_for_its_hash(bucket, monkeypatch):
    shard = bucket / "train" / "a.tfrecord.gz"
    shard.write_bytes(b"content")
    first = hash_shard(shard)
    monkeypatch.setattr(shards.hashlib, "file_digest", lambda *arguments: pytest.fail("it was read again"))
    assert hash_shard(shard) == first


def test_a_bucket_or_a_folder_that_is_not_there(bucket):
    with pytest.raises(InputError, match=r"^s3://no-such-bucket/data is not there \(.*\): look at the bucket, the"):
        check_store(named_path("s3://no-such-bucket/data"))
    with pytest.raises(InputError, match=rf"^{bucket}data is not there "):
        check_store(bucket / "data")


def test_a_store_without_credentials_names_none(bucket, monkeypatch):
    bucket.fs.clear_instance_cache()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # else botocore asks the network for credentials
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with pytest.raises(InputError, match=r"^s3://other/data cannot be read or written \(Unable to locate credentials\): look at the"):
        check_store(named_path("s3://other/data"))
    bucket.fs.clear_instance_cache()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("s3://", r"^s3:// names no folder: write PROTOCOL://BUCKET/FOLDER\.$"),
        ("ftps3://x/y", r"^ftps3://x/y is in a store that fsspec does not know \(.*\): write s3://, gs:// or hdfs://\.$"),
        ("hdfs://node:9000/data", r"^hdfs://node:9000/data would be read as hdfs:///data: write it like that, or name another place\.$"),
    ],
)
def test_names_that_are_no_place(name, sentence):
    with pytest.raises(InputError, match=sentence):
        named_path(name)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    with pytest.raises(InputError, match=r"^gs://b/data cannot be opened \(.*gcsfs.*\): gs:// needs pip install gcsfs\.$"):
        check_store(named_path("gs://b/data"))
