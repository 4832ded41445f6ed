"""The shards of a split: TFRecord files in one folder, gzipped or not. They are found, hashed and copied here."""

import gzip
import hashlib
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path

GZIP_MAGIC = b"\x1f\x8b"  # the first bytes of every gzip file
SPAN_SPLIT = "impressions"  # the only split of the examples of a span
_EMPTY_BODY = b"\x03\x00"  # the compressed form of nothing
_END_OF_EMPTY_MEMBER = bytes(8)  # the checksum and the size of nothing
_CHUNK = 1 << 20
_GZIP_LEVEL = 1  # ids become as small as at level 6, in a third of the time


def shard_files(folder: Path) -> list[Path]:
    """Returns the shards in a folder, in order: everything but hidden names and what other tools leave there (`_SUCCESS`, `*.crc`)."""
    return sorted(path for path in folder.iterdir() if path.name[0] not in "._" and path.suffix != ".crc") if folder.is_dir() else []


def is_gzipped(path: Path) -> bool:
    """Whether the content of a file is gzipped, whatever its name."""
    with open(path, "rb") as file:
        return file.read(2) == GZIP_MAGIC


def unreadable_gzip(path: Path) -> str | None:
    """Why TensorFlow does not read the whole of a gzip file that Python reads; None if it does, or if the file is not gzipped.

    At an empty member before others, TensorFlow ends without an error. `cat` makes such files, of an empty file and others or of those of
    bgzip, which all end with an empty member.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:2] != GZIP_MAGIC:
            return None
        if content.find(_END_OF_EMPTY_MEMBER + GZIP_MAGIC) >= 0:
            return "is gzip files put together, and one of them is empty, after which TensorFlow reads no more"
        if content[-10:].endswith(_END_OF_EMPTY_MEMBER) and not content[-10:].startswith(_EMPTY_BODY):
            return "has zeros after its gzip content, which TensorFlow cannot read"
    return None


def hash_shard(path: Path) -> str:
    """The SHA-256 of a shard's bytes, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_shard(source: Path, target: Path) -> str:
    """Copies a shard, and gzips it if it is not gzipped. It is never linked, since its owner may change the source in place.

    Returns:
        As `hash_shard`, of the bytes that were read.
    """
    digest = hashlib.sha256()
    writer = open(target, "wb") if is_gzipped(source) else gzip.GzipFile(target, "wb", _GZIP_LEVEL, mtime=0)
    with writer:
        for chunk in _chunks(source):
            digest.update(chunk)
            writer.write(chunk)
    return digest.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def split_fingerprint(split: str, hashes: Sequence[str]) -> str:
    """The fingerprint of a split: it follows the content and the order of the shards, not their names and times.

    Args:
        split: The name of the split.
        hashes: The hash of each shard, in order.
    """
    whole = hashlib.sha256("".join(hashes).encode()).hexdigest()
    return f"split:{split},num_files:{len(hashes)},sha256:{whole}"


def split_of(fingerprint: str) -> str:
    """The name of the split in its fingerprint."""
    return fingerprint.removeprefix("split:").partition(",")[0]
