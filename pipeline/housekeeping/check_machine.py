"""Checks of `din doctor` on the machine: the C library, the installed libraries, memory and disk. Nothing heavy is imported."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from components.base.fingerprint import LIBRARIES
from pipeline.housekeeping.findings import Finding, command
from pipeline.report.text_format import size

_DISTRIBUTION = "din-tfx"
_GLIBC = Version("2.39")  # the wheels of ml-metadata and TFDV are made for it
_MEMORY, _DISK = 2_000_000_000, 2_000_000_000  # bytes; a run of a million impressions takes less of both
_SET_UP = "make setup"


def machine_facts(workspace: Path) -> dict[str, str]:
    """Returns what the machine has."""
    libraries = ", ".join(f"{library} {_version(library) or 'missing'}" for library in LIBRARIES)
    return {
        "system": f"{platform.system()} {platform.release()}, {_libc()}, {os.cpu_count()} cores",
        "python": f"{platform.python_version()} ({sys.executable})",
        "libraries": libraries,
        "TF Serving": shutil.which("tensorflow_model_server") or "not installed: din serve uses the stand-in, the gate TensorFlow's loader",
        "memory": f"{size(_free_memory())} free",
        "disk": f"{size(shutil.disk_usage(_existing(workspace)).free)} free at {workspace}",
    }


def check_machine(workspace: Path) -> Iterator[Finding]:
    """Finds what keeps a run from starting or from ending on this machine."""
    name, _, number = _libc().partition(" ")
    if name == "glibc" and Version(number) < _GLIBC:
        yield Finding("environment", f"glibc is {number}, but TFX needs {_GLIBC}: the set-up brings one for .venv alone.", _SET_UP)
    yield from _wrong_versions()
    if (memory := _free_memory()) < _MEMORY:
        what = f"{size(memory)} of memory is free, which may be too little for a run: end the largest programs."
        yield Finding("environment", what, "ps -eo rss,pid,args --sort=-rss | head")
    place = _existing(workspace)
    if (disk := shutil.disk_usage(place).free) < _DISK:
        what = f"{size(disk)} is free on the disk of {workspace}, which may be too little for a run."
        yield Finding("environment", what, command("din", "clean", "--workspace", workspace, "--keep", "1"))
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding("environment", f"{place} cannot be written.", command("chmod", "u+rwx", place))
    try:
        tempfile.gettempdir()
    except OSError as error:
        yield Finding("environment", f"There is no folder for temporary files ({error.strerror}).", "export TMPDIR=/var/tmp")


def _wrong_versions() -> Iterator[Finding]:
    """Finds libraries that are missing, or of another version than this release was tested with."""
    try:
        needed = [Requirement(text) for text in requires(_DISTRIBUTION) or []]
    except PackageNotFoundError:
        yield Finding("environment", f"{_DISTRIBUTION} is not installed.", _SET_UP)
        return
    for requirement in needed:
        found = _version(requirement.name)
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            has = f"{requirement.name} {found}" if found else f"no {requirement.name}"
            yield Finding("environment", f"{has} is installed, but this release needs {requirement}.", _SET_UP)


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown C library"
    except (OSError, ValueError):
        return "unknown C library"


def _existing(path: Path) -> Path:
    """Returns a folder, or the nearest above it that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())


def _free_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Returns the bytes that programs can still get: those of the system, or what a container's limit leaves."""
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    free = 1024 * int(fields["MemAvailable"].split()[0])
    try:
        limit = int((cgroup / "memory.max").read_text())
        return min(free, limit - int((cgroup / "memory.current").read_text()))
    except (OSError, ValueError):  # no limit
        return free
