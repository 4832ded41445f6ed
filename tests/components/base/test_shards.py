"""Shards are found by what they are, hashed by content and copied, never linked."""

import gzip
import hashlib

from components.base.shards import GZIP_MAGIC, copy_shard, hash_shard, shard_files, split_fingerprint


def test_what_other_tools_leave_is_passed_over(tmp_path):
    for name in ("b.tfrecord.gz", "a.tfrecord", "part-0", "_SUCCESS", ".part-0.crc", "part-0.crc", "._a.tfrecord"):
        (tmp_path / name).touch()
    assert [path.name for path in shard_files(tmp_path)] == ["a.tfrecord", "b.tfrecord.gz", "part-0"]
    assert shard_files(tmp_path / "nowhere") == []


def test_a_copy_has_the_same_bytes_and_is_no_link(tmp_path):
    source, target = tmp_path / "a.gz", tmp_path / "copy.gz"
    source.write_bytes(gzip.compress(b"records" * 1000))
    assert copy_shard(source, target) == hash_shard(source) == hashlib.sha256(source.read_bytes()).hexdigest()
    assert target.read_bytes() == source.read_bytes()
    source.write_bytes(b"changed in place")
    assert gzip.decompress(target.read_bytes()) == b"records" * 1000


def test_a_plain_shard_is_gzipped_on_the_way_whatever_its_name(tmp_path):
    source = tmp_path / "plain.gz"
    source.write_bytes(b"plain records")
    assert copy_shard(source, tmp_path / "copy.gz") == hashlib.sha256(b"plain records").hexdigest()
    assert (tmp_path / "copy.gz").read_bytes().startswith(GZIP_MAGIC)
    assert gzip.decompress((tmp_path / "copy.gz").read_bytes()) == b"plain records"


def test_the_fingerprint_follows_content_and_order():
    assert split_fingerprint("train", ["aa", "bb"]) == f"split:train,num_files:2,sha256:{hashlib.sha256(b'aabb').hexdigest()}"
    assert len({split_fingerprint(name, hashes) for name, hashes in [("train", ["aa"]), ("eval", ["aa"]), ("train", ["ab"])]}) == 3
    assert split_fingerprint("train", ["aa", "bb"]) != split_fingerprint("train", ["bb", "aa"])
