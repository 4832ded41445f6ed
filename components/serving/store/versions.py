"""The folder of a model's versions, `<workspace>/serving/<name>/`, as TF Serving reads it.

| there                       | is                                                                                 |
|-----------------------------|------------------------------------------------------------------------------------|
| `<version>/`                | a SavedModel, whole; its name is an integer, and a newer one's is higher           |
| `models.config`             | which of them TF Serving loads, as `components.serving.store.models_config`                |
| `rolled_back`               | the versions that were rolled back, one a line                                     |
| `.lock`                     | held by whoever changes any of it                                                  |
| `.pushing-*`, `.removing-*` | what is no version yet, or no longer: TF Serving skips names that are no integer   |
"""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from components.base.atomic_files import write_durably
from components.base.errors import InputError
from components.serving.store.models_config import CANARY, STABLE, ServedModel, read_models_config

PUSHING = ".pushing-"


WARM_UP_FILE = "assets.extra/tf_serving_warmup_requests"  # of a SavedModel, where TF Serving looks for it


_REMOVING = ".removing-"


_ROLLED_BACK = "rolled_back"


@contextlib.contextmanager
def locked(base: Path) -> Iterator[None]:
    """Waits until nobody else changes the folder, then keeps others from it; the lock of a process that was killed is free."""
    with open(base / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def served_versions(base: Path) -> list[int]:
    """Version numbers below a model's serving folder, in order. Names that are not written as push writes numbers are none of ours."""
    names = [path.name for path in base.iterdir() if path.is_dir()] if base.is_dir() else []
    return sorted(int(name) for name in names if name.isascii() and name.isdecimal() and str(int(name)) == name)


def read_rolled_back(base: Path) -> set[int]:
    """The versions that were rolled back.

    Raises:
        InputError: The file that has them holds something else.
    """
    file = base / _ROLLED_BACK
    try:
        return {int(line) for line in file.read_text().split()}
    except FileNotFoundError:
        return set()
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is to hold a version a line ({error}): mend it, or delete it.") from error


def write_rolled_back(base: Path, versions: set[int]) -> None:
    """Records the versions that were rolled back, as far as they are still there.

    Raises:
        OSError: The file cannot be written; the old one stands.
    """
    write_durably(base / _ROLLED_BACK, "".join(f"{version}\n" for version in sorted(versions & set(served_versions(base)))))


def served_model(base: Path) -> ServedModel | None:
    """What TF Serving is told to serve; without a `models.config`, as in older workspaces, the highest version; None if there is none.

    Raises:
        InputError: `models.config` cannot be read, or names a version that is not there.
    """
    if (configured := read_models_config(base)) is not None:
        return configured
    kept = set(served_versions(base)) - read_rolled_back(base)
    return ServedModel(base.name, str(base.absolute()), dict.fromkeys((CANARY, STABLE), max(kept))) if kept else None


def clear_leftovers(base: Path) -> None:
    """Deletes what a push or a removal left that was killed."""
    for leftover in [*base.glob(f"{PUSHING}*"), *base.glob(f"{_REMOVING}*")]:
        shutil.rmtree(leftover)
    for leftover in base.glob(".*.part"):
        leftover.unlink()


def remove_version(base: Path, version: int) -> None:
    """Deletes a version: to whoever looks it is there whole, or not at all."""
    gone = base / f"{_REMOVING}{version}"
    (base / str(version)).rename(gone)
    shutil.rmtree(gone)
