"""Turns the name of a place into a path: a folder of this machine, or one in an object store (`s3://bucket/folder`), by fsspec.

A path in a store has pathlib's methods (`iterdir`, `glob`, `stat`, `open`), as universal_pathlib's UPath, so code that reads data need not
know which of both it has. What a store lists is never cached: it may change while a process runs. Stores take their credentials from the
environment (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, …), as their packages do.
"""

from pathlib import Path
from typing import Any, cast

from components.base.errors import InputError

_LONGEST_REASON = 200
_PACKAGES = {  # by protocol: what must be installed
    "s3": "uv sync --extra s3, or pip install s3fs",
    "gs": "pip install gcsfs",
    "hdfs": "libhdfs of a Hadoop installation, and its CLASSPATH, for PyArrow",
}


def is_store(name: str) -> bool:
    """Whether a name is that of a place in a store: `PROTOCOL://…`."""
    return "://" in name


def named_path(name: str) -> Path:
    """Returns the path that a name stands for. Nothing is asked from a store yet.

    Raises:
        InputError: The name is that of a store which fsspec does not know, or is written otherwise than the path would be.
    """
    if not is_store(name):
        return Path(name)
    from upath import UPath

    if name.rstrip("/").endswith(":"):
        raise InputError(f"{name} names no folder: write PROTOCOL://BUCKET/FOLDER.")
    try:
        place = UPath(name.rstrip("/"), use_listings_cache=False)
    except ValueError as error:
        raise InputError(f"{name} is in a store that fsspec does not know ({reason_of(error)}): write s3://, gs:// or hdfs://.") from error
    if str(place).rstrip("/") != name.rstrip("/"):  # records have the name alone, and a host of hdfs:// would be lost there
        raise InputError(f"{name} would be read as {place}: write it like that, or name another place.")
    return cast(Path, place)  # it has the methods of a Path, but is none


def check_store(place: Path) -> None:
    """Checks that a place in a store can be listed. A place of this machine passes.

    Raises:
        InputError: The store has no such place or gives no access, or its package is missing.
    """
    if isinstance(place, Path):
        return
    try:
        next(iter(place.iterdir()), None)
    except Exception as error:  # each store has its own
        raise store_error(str(place), error) from error


def store_error(place: str, error: Exception) -> InputError:
    """Returns what an error of a store means for the user."""
    reason = reason_of(error)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InputError(f"{place} is not there ({reason}): look at the bucket, the folder and the endpoint.")
    if isinstance(error, ImportError):
        protocol = place.partition("://")[0]
        needed = _PACKAGES.get(protocol, f"a package for fsspec that knows {protocol}://")
        return InputError(f"{place} cannot be opened ({reason}): {protocol}:// needs {needed}.")
    return InputError(f"{place} cannot be read or written ({reason}): look at the credentials and the endpoint.")


def content_tag(place: Path) -> str:
    """The store's own mark of a file's content (the ETag, where there is one); empty for a file of this machine.

    Raises:
        OSError: There is no such file.
    """
    if isinstance(place, Path):
        return ""
    found = place.fs.info(place.path)
    return str(found.get("ETag") or place.fs.ukey(place.path))


def file_system(name: str) -> tuple[Any, str]:
    """Returns the file system of fsspec that has a place, and the path of the place in it.

    Raises:
        InputError: As for `named_path`.
        ImportError: The package of the store is missing.
    """
    place: Any = named_path(name)
    return place.fs, place.path


def reason_of(error: Exception) -> str:
    """Returns what a store says of an error, in one line that is not long."""
    return " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__
