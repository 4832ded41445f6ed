"""The shards of a split: TFRecord files in one folder, gzipped or not. They are found, hashed and copied here."""

import gzip
import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from components.base.stores import content_tag

GZIP_MAGIC = b"\x1f\x8b"  # the first bytes of every gzip file
SPAN_SPLIT = "impressions"  # the only split of the examples of a span
_CHUNK = 1 << 20
_GZIP_LEVEL = 1  # ids become as small as at level 6, in a third of the time


def shard_files(folder: Path) -> list[Path]:
    """Returns the shards in a folder, in order: everything but hidden names and what other tools leave there (`_SUCCESS`, `*.crc`)."""
    return sorted(path for path in folder.iterdir() if path.name[0] not in "._" and path.suffix != ".crc") if folder.is_dir() else []


class ShardState(BaseModel):
    """What the file system says of a shard; a change of its content changes some of it, even where its size and time are set back."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int
    tag: str = ""  # of a shard in an object store, which has no device, inode or time of change

    @classmethod
    def of(cls, path: Path) -> "ShardState":
        """Raises OSError if the shard is not there."""
        found = path.stat()
        device, inode, changed = found.st_dev, found.st_ino, found.st_ctime_ns
        return cls(device=device, inode=inode, size=found.st_size, modified_ns=found.st_mtime_ns, changed_ns=changed, tag=content_tag(path))


_HASHES: dict[str, tuple[ShardState, str]] = {}  # by path: the shards that this process knows, so that none is read again for its hash


def remember_hash(path: Path, state: ShardState, sha256: str) -> None:
    """Lets `hash_shard` return a hash without reading, as long as the shard has this state."""
    _HASHES[str(path)] = state, sha256


def hash_shard(path: Path) -> str:
    """The SHA-256 of a shard's bytes, in hexadecimal digits."""
    state = ShardState.of(path)
    known, sha256 = _HASHES.get(str(path), (None, ""))
    if known != state:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        remember_hash(path, state, sha256)
    return sha256


def copy_shard(source: Path, target: Path) -> str:
    """Copies a shard, and gzips it if it is not gzipped. It is never linked, since its owner may change the source in place.

    Returns:
        As `hash_shard`, of the bytes that were read.
    """
    digest = hashlib.sha256()
    with source.open("rb") as file:
        chunk = file.read(_CHUNK)
        with open(target, "wb") if chunk.startswith(GZIP_MAGIC) else gzip.GzipFile(target, "wb", _GZIP_LEVEL, mtime=0) as writer:
            while chunk:
                digest.update(chunk)
                writer.write(chunk)
                chunk = file.read(_CHUNK)
    return digest.hexdigest()


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
