"""`served/`, beside the versions of a model: folders of links, one for each content of `models.config`, which names it as `base_path`.

    served/1795540359/1795540358 -> ../../1795540358

The number of such a folder is the time at which it was made, in unix seconds; numbers always grow.

TF Serving loads all versions in the folder of the last `models.config` that it **accepted** (FileSystemStoragePathSource with the policy
`all`), and looks into it once a second. So two things are possible at once:

* A new version gets a link in all folders. A server finds and loads it, even if it refuses each `models.config` until it has loaded it.
* A version is left by a new folder without it, never by removing its link. A server leaves it at the moment at which it accepts the labels
  that go with the new folder, and no load is disturbed. Even the link of a deleted version stays: a late server has it in memory.
"""

import errno
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from components.base.atomic_files import sync
from components.base.errors import InputError

SERVED = "served"

_NEWEST = 4
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


def split_base_path(base_path: str) -> tuple[str, int | None]:
    """Splits the `base_path` of a `models.config` into the folder of the versions and the number of the folder of links, if any."""
    found = re.fullmatch(rf"(.*)/{SERVED}/(\d+)", base_path)
    return (found[1], int(found[2])) if found else (base_path, None)


def link_folders(base: Path) -> list[int]:
    """Returns the numbers of the folders of links, in order."""
    return _numbers(base / SERVED)


def linked_versions(base: Path, number: int) -> list[int]:
    """Returns the versions in a folder of links, in order."""
    return _numbers(base / SERVED / str(number))


def link_everywhere(base: Path, version: int) -> None:
    """Makes all servers find a version, whatever folder of links they look into.

    Raises:
        InputError: The file system has no links.
        OSError: A link cannot be made.
    """
    for number in link_folders(base):
        _link(base, number, version)


def numbers_since(base: Path, moment: float, newest: int) -> set[int]:
    """Returns the numbers of the newest folders of links, and of those that `models.config` named at some time since a moment."""
    numbers = link_folders(base)
    ends = [*numbers[1:], float("inf")]
    return {*numbers[-newest:], *(number for number, end in zip(numbers, ends, strict=True) if end >= moment)}


def versions_since(base: Path, moment: float) -> set[int]:
    """Returns the versions in the newest folders of links, and in those that `models.config` named at some time since a moment."""
    return {version for number in numbers_since(base, moment, _NEWEST) for version in linked_versions(base, number)}


def make_link_folder(base: Path, versions: Collection[int], now: float) -> int:
    """Makes a folder of links and returns its number.

    Args:
        base: The folder of the versions.
        versions: The versions.
        now: The time in unix seconds.

    Raises:
        InputError: The file system has no links.
        OSError: The folder or a link cannot be made.
    """
    number = max([int(now), *(last + 1 for last in link_folders(base))])
    (base / SERVED / str(number)).mkdir(parents=True)
    for version in sorted(versions):
        _link(base, number, version)
    sync(base / SERVED)
    sync(base)
    return number


def remove_link_folders(base: Path, numbers: Collection[int]) -> None:
    """Removes folders of links that no server looks into any more."""
    for number in numbers:
        shutil.rmtree(base / SERVED / str(number))


def _link(base: Path, number: int, version: int) -> None:
    """Makes a link, if it is not there. It is relative, so that the folder may be seen elsewhere."""
    link = base / SERVED / str(number) / str(version)
    if link.is_symlink() or link.is_dir():
        return
    try:
        link.symlink_to(Path("..", "..", str(version)))
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise InputError(f"{link} cannot be made, because the file system has no symbolic links: name a workspace on another.") from error
    sync(link.parent)


def _numbers(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else []
