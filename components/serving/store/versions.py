"""The folder of a model's versions, `<workspace>/serving/<name>/`, which TF Serving reads: what lies in it and how it is locked.

| name                        | content                                                                                      |
|-----------------------------|----------------------------------------------------------------------------------------------|
| `<version>/`                | a whole SavedModel; the name is an integer, and newer versions have higher numbers           |
| `served/<number>/<version>` | links to the versions that TF Serving loads (`components.serving.store.served_links`)        |
| `models.config`             | the labels, for TF Serving (`components.serving.store.models_config`)                        |
| `rolled_back`               | the versions that were rolled back, one a line                                               |
| `servers`                   | the servers that the last push was told to ask, one a line                                   |
| `store`                     | the folder of an object store that has what is served (`components.serving.store.publication`) |
| `publisher`                 | the id with which the workspace publishes: it is in the store, too                           |
| `.lock`                     | locked by the process that changes the folder; never while it waits for a server             |
| `.push.lock`                | locked by a push from its beginning to its end: one at a time copies versions or deletes them |
| `.pushing-*`, `.removing-*` | versions that are being copied or deleted                                                    |
"""

import contextlib
import fcntl
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from components.base.atomic_files import write_durably
from components.base.errors import InputError
from components.serving.servers.server_url import is_server_url
from components.serving.store.models_config import CANARY, STABLE, ServedModel, read_models_config

PUSHING = ".pushing-"
PUBLISHER = "publisher"
NOT_LOADED = "not_loaded"  # in the folder of a version that had no label, or that a server could not load: why
WARM_UP_FILE = "assets.extra/tf_serving_warmup_requests"  # where TF Serving looks for it in a SavedModel

_HIGHEST = 2**63 - 1  # TF Serving reads versions as int64
_PUSHED_BY = "pushed_by"  # in the folder of a version: the id of the run that pushed it
_LOCK, _PUSH_LOCK = ".lock", ".push.lock"
_REMOVING = ".removing-"
_ROLLED_BACK = "rolled_back"
_SERVERS = "servers"
_STORE = "store"


def serving_folder(workspace: Path, name: str | None) -> Path:
    """Returns the folder of the versions that were pushed under a name.

    Args:
        workspace: The workspace, which has one such folder for each name.
        name: The name; None takes the only one.

    Raises:
        InputError: Nothing was pushed under the name, or there are several names and none is given.
    """
    names = sorted(path.name for path in workspace.glob("serving/*") if served_versions(path))
    if not names:
        raise InputError(f"{workspace} has no pushed model: name a workspace with --workspace, or push one with din run.")
    if name is None and len(names) > 1:
        raise InputError(f"{workspace} has models of several names: choose one with --name: {', '.join(names)}.")
    if name is not None and name not in names:
        raise InputError(f"{workspace} has no pushed model called {name!r}: there is {', '.join(names)}.")
    return workspace / "serving" / (name or names[0])


@contextlib.contextmanager
def locked(base: Path, name: str = _LOCK) -> Iterator[None]:
    """Waits for the lock of the folder and holds it. When a process is killed, its lock is released."""
    with open(base / name, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def locked_for_push(base: Path) -> contextlib.AbstractContextManager[None]:
    """Waits for other pushes to end, and makes those that come wait. It stops neither a rollback nor a promotion."""
    return locked(base, _PUSH_LOCK)


def served_versions(base: Path) -> list[int]:
    """Returns the versions in a model's serving folder, in order. Names that push would not write, such as 007, are skipped."""
    names = [path.name for path in base.iterdir() if path.is_dir()] if base.is_dir() else []
    numbers = [name for name in names if name.isascii() and name.isdecimal() and len(name) <= len(str(_HIGHEST))]
    return sorted(int(name) for name in numbers if str(int(name)) == name and int(name) <= _HIGHEST)


def next_version(base: Path) -> int:
    """Returns the version of a push: the time in unix seconds, or the one after the newest version if that is higher.

    Raises:
        InputError: There is no higher version.
    """
    newest = max(served_versions(base), default=0)
    if newest == _HIGHEST:
        raise InputError(f"{base / str(newest)} has the highest number of a version, so that none can be pushed after it: rename it.")
    return max(int(time.time()), newest + 1)


def write_pushed_by(version: Path, run_id: str) -> None:
    """Records in the folder of a version which run pushes it."""
    (version / _PUSHED_BY).write_text(f"{run_id}\n", encoding="utf-8", errors="surrogateescape")


def pushed_by(base: Path, run_id: str) -> int | None:
    """Returns the version that a run pushed; None if it pushed none, or if that version was removed since."""
    return next((version for version in reversed(served_versions(base)) if pushing_run(base, version) == run_id), None)


def pushing_run(base: Path, version: int) -> str:
    """Returns the id of the run that pushed a version last; empty for a version of an older release, which does not say so."""
    with contextlib.suppress(OSError):
        return (base / str(version) / _PUSHED_BY).read_text(encoding="utf-8", errors="surrogateescape").removesuffix("\n")
    return ""


def read_rolled_back(base: Path) -> set[int]:
    """Returns the versions that were rolled back.

    Raises:
        InputError: The file holds something else.
    """
    file = base / _ROLLED_BACK
    try:
        return {int(line) for line in file.read_text().split()}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): make it readable. It says what must not be served again.") from error
    except ValueError as error:
        raise InputError(f"{file} must hold one version a line ({error}): correct it, or delete it.") from error


def write_rolled_back(base: Path, versions: set[int]) -> None:
    """Records the versions that were rolled back, except those that are no longer there.

    Raises:
        OSError: The file cannot be written; the old one stays.
    """
    write_durably(base / _ROLLED_BACK, "".join(f"{version}\n" for version in sorted(versions & set(served_versions(base)))))


def mark_new(version: Path) -> None:
    """Records in the folder of a version that it has not had a label yet."""
    (version / NOT_LOADED).write_text("it has had no label yet\n")


def mark_not_loaded(base: Path, version: int, reason: str | None) -> None:
    """Records why a version is not known to be served well; None says that it is, because it gets a label.

    Raises:
        OSError: The file cannot be written.
    """
    file = base / str(version) / NOT_LOADED
    if reason is None:
        file.unlink(missing_ok=True)
    else:
        write_durably(file, f"{reason}\n")


def was_not_loaded(base: Path, version: int) -> bool:
    """Returns whether a version has never had a label, or a server could not load it when that was tried last."""
    return (base / str(version) / NOT_LOADED).exists()


def sound_versions(base: Path) -> list[int]:
    """Returns the versions that had a label, were not rolled back, and could be loaded, in order.

    Raises:
        InputError: `rolled_back` cannot be read.
    """
    rolled_back = read_rolled_back(base)
    return [version for version in served_versions(base) if version not in rolled_back and not was_not_loaded(base, version)]


def read_servers(base: Path) -> list[str]:
    """Returns the servers that the last push was told to ask.

    Raises:
        InputError: The file holds something else.
        OSError: The file cannot be read.
    """
    file = base / _SERVERS
    servers = file.read_text(encoding="utf-8", errors="replace").split() if file.exists() else []
    for server in servers:
        if not is_server_url(server):
            raise InputError(f"{file} must hold one grpc://HOST:PORT a line, but has {server!r}: correct it, or delete it.")
    return servers


def write_servers(base: Path, servers: Collection[str]) -> None:
    """Records the servers that a rollback, a promotion and `din status` must ask.

    Raises:
        OSError: The file cannot be written; the old one stays.
    """
    if servers:
        write_durably(base / _SERVERS, "".join(f"{server}\n" for server in servers))
    else:
        (base / _SERVERS).unlink(missing_ok=True)


def read_store(base: Path) -> str:
    """Returns the URL of the store that the last push was told to publish to; empty if there is none.

    Raises:
        OSError: The file cannot be read.
    """
    file = base / _STORE
    return file.read_text(encoding="utf-8").removesuffix("\n") if file.exists() else ""


def write_store(base: Path, url: str) -> None:
    """Records the store that a push, a rollback and a promotion must publish to; an empty URL records that there is none.

    Raises:
        OSError: The file cannot be written; the old one stays.
    """
    if url:
        write_durably(base / _STORE, f"{url}\n")
    else:
        (base / _STORE).unlink(missing_ok=True)


def served_model(base: Path) -> ServedModel | None:
    """Returns what TF Serving must serve; None if there is nothing to serve.

    Without a `models.config`, as in older workspaces, this is the highest version that was not rolled back.

    Raises:
        InputError: `models.config` cannot be read, or names a version that is not there.
    """
    if (configured := read_models_config(base)) is not None:
        return configured
    sound = sound_versions(base)
    return ServedModel(base.name, str(base.absolute()), dict.fromkeys((CANARY, STABLE), sound[-1])) if sound else None


def leftovers(base: Path) -> list[Path]:
    """Returns what a killed push or a killed removal left. One that goes on has such files, too, while it holds a lock."""
    return [path for pattern in (f"{PUSHING}*", f"{_REMOVING}*", ".*.part", "*/.*.part") for path in base.glob(pattern)]


def clear_leftovers(base: Path) -> None:
    """Deletes what a killed push or a killed removal left. The folder must be locked."""
    for path in leftovers(base):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def remove_version(base: Path, version: int) -> None:
    """Deletes a version: a reader sees the whole version or none."""
    gone = base / f"{_REMOVING}{version}"
    (base / str(version)).rename(gone)
    shutil.rmtree(gone)
