"""Publishes what a workspace serves: it brings `serving.store`, a folder in an object store, up to the folder of the versions.

    STORE/NAME/served/NUMBER/VERSION/   a whole copy where the workspace has a link
    STORE/NAME/models.config            as in the workspace
    STORE/NAME/publisher                the id of the workspace: no other one publishes there
    STORE/NAME/.publishing/upload/      what is being uploaded
    STORE/NAME/.publishing/place/       what is being copied, replaced or deleted within the store

Servers that follow `models.config` in the store behave as beside the workspace (`components.serving.store.label_moves`): a new version
comes into the folders in which they look, then the file names a new folder. So the order is: versions, `models.config`, deletions. A
version is uploaded once, aside, where no server looks. From there it comes into its places by a rename, where the store has one. Otherwise
its objects are copied within the store, and `saved_model.pb` is the last, without which nobody can load it. Whatever is interrupted, the
next publication completes it; what it left aside goes with the next upload or the next change of the store.

Each of the two folders aside has a lock. Who changes the store holds it for as long as the store copies; who uploads also holds the other
one, for as long as that takes. So a rollback, whose version is in the store, waits for no upload.
"""

import uuid
from pathlib import Path
from typing import Any, NamedTuple

from components.base.atomic_files import write_durably
from components.base.errors import InputError
from components.base.stores import file_system, reason_of, store_error
from components.serving.servers.waiting import NotServed
from components.serving.store.models_config import MODELS_CONFIG, WAIT_SECONDS, link_folder
from components.serving.store.served_links import SERVED, linked_versions, numbers_since
from components.serving.store.versions import NOT_LOADED, PUBLISHER, locked, read_store, served_versions

_MARKER = "saved_model.pb"  # a version without it cannot be loaded
_UPLOADS, _PLACES = ".publishing/upload", ".publishing/place"
_PROBE = ".writable-"
_UPLOAD_LOCK, _PUBLISH_LOCK = ".upload.lock", ".publish.lock"  # in the folder of the versions
_FOLDERS = 2  # so many folders of the newest stay in the store, and those that were named within the last minutes
_RENAME = {"file", "local", "hdfs"}  # stores whose folders can be renamed in one step


class NotPublished(NotServed):
    """The store does not have what the workspace serves.

    Attributes:
        why: The message without the advice and the full stop.
    """

    def __init__(self, why: str, name: str):
        super().__init__(f"{why}: din publish --name {name} repeats it.")
        self.why = why


class _Wanted(NamedTuple):
    """What the store must have.

    Attributes:
        config: The content of `models.config`.
        newest: The number of the folder that it names.
        folders: The versions by the number of their folder.
    """

    config: bytes
    newest: int
    folders: dict[int, list[int]]


def publish(base: Path, now: float) -> None:
    """Brings the store of a folder of versions up to it. A folder without a store is left alone.

    Several processes may publish at once: a rollback does not wait for the upload of a version that it does not need.

    Args:
        base: The folder of the versions.
        now: The time in unix seconds.

    Raises:
        NotPublished: The store cannot be written. What is there is whole, and servers that follow it are not disturbed.
    """
    url = read_store(base)
    if not url:
        return
    try:
        store = _Store(*file_system(url))
        _check_publisher(base, store)
        while (wanted := _wanted(base, now)) and not _publish(base, store, wanted):
            pass  # the labels moved meanwhile
    except Exception as error:  # each store has its own
        why = f"{url} does not have what {base} serves, because it could not be written ({reason_of(error)})"
        raise NotPublished(why, base.name) from error


def check_writable(url: str) -> None:
    """Writes a small file to a store, and deletes it.

    Raises:
        InputError: The store cannot be written, or its package is missing.
    """
    try:
        store = _Store(*file_system(url))
        probe = f"{_PROBE}{uuid.uuid4().hex}"  # other runs may be checking, too
        store.write(probe, b"")
        store.delete(probe)
    except Exception as error:  # each store has its own
        raise store_error(url, error) from error


def unpublished(base: Path, now: float) -> list[str]:
    """Returns what the store lacks, each in a few words; nothing if it has what the workspace serves, or if there is no store."""
    url = read_store(base)
    wanted = _wanted(base, now) if url else None
    if not url or wanted is None:
        return []
    try:
        store = _Store(*file_system(url))
        missing = [f"version {version} in {SERVED}/{number}" for number, version in store.missing(wanted)]
        return missing + ([] if store.read(MODELS_CONFIG) == wanted.config else [f"the {MODELS_CONFIG} of the workspace"])
    except Exception as error:
        return [f"an answer ({reason_of(error)})"]


def _check_publisher(base: Path, store: "_Store") -> None:
    """Refuses a folder of another workspace: it would lose what it serves. The first workspace that publishes there has it."""
    file = base / PUBLISHER
    if file.exists() and store.read(PUBLISHER) == file.read_bytes():
        return
    with locked(base, _PUBLISH_LOCK):
        if not file.exists():
            write_durably(file, f"{uuid.uuid4().hex}\n")
        own, found = file.read_bytes(), store.read(PUBLISHER)
        if found is None:
            store.write(PUBLISHER, own)
        elif found != own:
            raise InputError("another workspace publishes there: set another serving.store, or delete the folder if that workspace is gone")


def _publish(base: Path, store: "_Store", wanted: _Wanted) -> bool:
    """Returns whether the store has it; otherwise the workspace serves something else by now, or a version was deleted meanwhile."""
    if store.absent(wanted):
        with locked(base, _UPLOAD_LOCK):
            store.clear(_UPLOADS)
            absent = store.absent(wanted)  # another process may have brought some
            for version in absent:
                store.upload(base / str(version))
            with locked(base, _PUBLISH_LOCK):
                for number, version in store.missing(wanted):
                    if version in absent:
                        store.bring(base / str(version), number)
            store.clear(_UPLOADS)
    with locked(base, _PUBLISH_LOCK):
        if (base / MODELS_CONFIG).read_bytes() != wanted.config or store.absent(wanted):
            return False
        for number, version in store.missing(wanted):
            store.bring(base / str(version), number)
        if store.read(MODELS_CONFIG) != wanted.config:
            store.write(MODELS_CONFIG, wanted.config)
        for number in store.folders():
            if number < wanted.newest and number not in wanted.folders:
                store.remove(number)
        store.clear(_PLACES)
    return True


def _wanted(base: Path, now: float) -> _Wanted | None:
    """Returns what the store must have; None if nothing is served. Old folders get those versions of the newest one that they link."""
    with locked(base):
        newest = link_folder(base)
        if newest is None:
            return None
        there = set(linked_versions(base, newest)) & set(served_versions(base))
        kept = numbers_since(base, now - WAIT_SECONDS, _FOLDERS) | {newest}
        folders = {number: sorted(there & set(linked_versions(base, number))) for number in sorted(kept)}
        return _Wanted((base / MODELS_CONFIG).read_bytes(), newest, folders)


class _Store:
    """A folder in a store.

    Args:
        fs: The file system of fsspec.
        root: The path of the folder in it.
    """

    def __init__(self, fs: Any, root: str):
        self._fs, self._root = fs, root.rstrip("/")
        protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
        self._renames = not protocols.isdisjoint(_RENAME)

    def _path(self, *parts: object) -> str:
        return "/".join([self._root, *map(str, parts)])

    def read(self, name: str) -> bytes | None:
        """Returns the content of a file; None if it is not there."""
        try:
            return bytes(self._fs.cat_file(self._path(name)))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Writes or replaces a file in one step."""
        if not self._renames:
            self._fs.pipe_file(self._path(name), content)  # a single object is whole or not there
            return
        aside = self._path(_PLACES, name)
        self._fs.makedirs(self._path(_PLACES), exist_ok=True)
        self._fs.pipe_file(aside, content)
        self._fs.mv(aside, self._path(name))

    def delete(self, name: str) -> None:
        self._fs.rm(self._path(name))

    def folders(self) -> list[int]:
        """Returns the numbers of the folders in `served/`."""
        return sorted(self._numbers(SERVED))

    def _numbers(self, *parts: object) -> list[int]:
        try:
            names = [path.rstrip("/").rpartition("/")[2] for path in self._fs.ls(self._path(*parts), detail=False, refresh=True)]
        except FileNotFoundError:
            return []
        return [int(name) for name in names if name.isdecimal()]

    def _is_whole(self, number: int, version: int) -> bool:
        return bool(self._fs.exists(self._path(SERVED, number, version, _MARKER)))

    def missing(self, wanted: _Wanted) -> list[tuple[int, int]]:
        """Returns the versions that are not whole in a folder in which they must be, as (folder, version)."""
        places = [(number, version) for number, versions in wanted.folders.items() for version in versions]
        return [(number, version) for number, version in places if not self._is_whole(number, version)]

    def absent(self, wanted: _Wanted) -> list[int]:
        """Returns the versions that are whole in no folder, although one of them must have it."""
        return sorted({version for _, version in self.missing(wanted) if self._place_of(version) is None})

    def _place_of(self, version: int) -> str | None:
        """Returns where a version is whole; None if it is so in no folder."""
        number = next((number for number in self.folders() if self._is_whole(number, version)), None)
        return None if number is None else self._path(SERVED, number, version)

    def clear(self, aside: str) -> None:
        """Deletes what a publication left aside. The caller holds the lock."""
        if self._fs.exists(self._path(aside)):
            self._fs.rm(self._path(aside), recursive=True)

    def upload(self, source: Path) -> None:
        """Uploads a version of the workspace, aside."""
        files, held = _files(source), self._path(_UPLOADS, source.name)
        self._make_folders(held, files)
        self._fs.put([str(source / name) for name in files], [f"{held}/{name}" for name in files])

    def bring(self, source: Path, number: int) -> None:
        """Copies a version into a folder, from another one or from its upload: whole, or so that nobody can load it.

        Args:
            source: The version in the workspace.
            number: The folder.
        """
        files = _files(source)
        held = self._place_of(int(source.name)) or self._path(_UPLOADS, source.name)
        place = self._path(SERVED, number, source.name)
        target = self._path(_PLACES, f"{source.name}-{number}") if self._renames else place
        self._make_folders(target, files)
        self._fs.copy([f"{held}/{name}" for name in files[:-1]], [f"{target}/{name}" for name in files[:-1]])
        self._fs.copy(f"{held}/{_MARKER}", f"{target}/{_MARKER}")
        if self._renames:
            self._make_folders(self._path(SERVED, number), [""])
            if self._fs.exists(place):
                self._fs.rm(place, recursive=True)
            self._fs.mv(target, place, recursive=True)

    def _make_folders(self, place: str, files: list[str]) -> None:
        """Makes the folders of files, where a store has folders."""
        if self._renames:
            for folder in sorted({f"{place}/{name}".rpartition("/")[0] for name in files}):
                self._fs.makedirs(folder, exist_ok=True)

    def remove(self, number: int) -> None:
        """Deletes a folder into which no server looks any more: at once, or what makes its versions loadable first."""
        place = self._path(SERVED, number)
        if self._renames:
            gone = self._path(_PLACES, number)
            self._fs.makedirs(self._path(_PLACES), exist_ok=True)
            self._fs.mv(place, gone, recursive=True)
            self._fs.rm(gone, recursive=True)
            return
        for version in self._numbers(SERVED, number):
            if self._is_whole(number, version):
                self._fs.rm_file(self._path(SERVED, number, version, _MARKER))
        self._fs.rm(place, recursive=True)


def _files(version: Path) -> list[str]:
    """Returns the files of a version, relative to it, the marker last."""
    files = sorted(path for path in version.rglob("*") if path.is_file() and path.name != NOT_LOADED)
    marker = version / _MARKER
    if marker not in files:
        raise InputError(f"{version} has no {_MARKER}, so it is no whole version: remove it from the workspace.")
    return [path.relative_to(version).as_posix() for path in (*(path for path in files if path != marker), marker)]
