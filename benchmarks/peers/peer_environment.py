"""The virtual environment that the peers run in, since their libraries do not belong in ours.

PyPI's torch brings the CUDA libraries along: 7 GB in all. Where PyTorch's own index can be reached, UV_TORCH_BACKEND=cpu avoids them.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from components.base.errors import InputError

REQUIREMENTS = (
    "torch==2.13.0",
    "tensorflow==2.21.0",
    "tf-keras==2.21.0",
    "numpy==2.4.6",
    "deepctr==0.9.4",
    "deepctr-torch==0.3.0",
    "torch-rechub==0.9.0",
    "onnx==1.23.2",
    "onnxruntime==1.32.0",
    "tf2onnx==1.17.0",
)
BASE_PYTHON = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
_ROOT = Path(__file__).parents[2]


def _run(purpose: str, *command: str | Path, folder: Path) -> None:
    """Runs a step of an installation, away from our pyproject.toml, which uv would read."""
    process = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if process.returncode:
        reason = "\n".join(process.stdout.strip().splitlines()[-8:])
        raise InputError(f"{purpose}: `{' '.join(map(str, command))}` failed:\n{reason}")


def _uv() -> str | Path | None:
    """The one on PATH, else the one that deploy/setup.sh put into .runtime."""
    return shutil.which("uv") or next(_ROOT.glob(".runtime/uv-*/bin/uv"), None)


def install(folder: Path) -> None:
    """Makes the environment: by uv if it is at hand, else by venv and pip."""
    uv, purpose = _uv(), "The peers' environment cannot be made"
    python = folder / "bin" / "python"
    if uv:
        _run(purpose, uv, "venv", "--no-project", "--no-python-downloads", "--python", BASE_PYTHON, folder, folder=folder.parent)
        _run(purpose, uv, "pip", "install", "--python", python, *REQUIREMENTS, folder=folder.parent)
    else:
        _run(purpose, BASE_PYTHON, "-m", "venv", folder, folder=folder.parent)
        _run(purpose, python, "-m", "pip", "install", *REQUIREMENTS, folder=folder.parent)


def _unpack(requirement: str, folder: Path) -> None:
    """Puts the files of a wheel into a folder, without what it depends on."""
    uv = _uv()
    pip = [uv, "pip", "install", "--python", BASE_PYTHON] if uv else [BASE_PYTHON, "-m", "pip", "install"]
    options = ("--no-deps", "--only-binary", ":all:", "--target", folder)
    _run(
        f"{requirement} cannot be fetched, which takes a connection to the package index", *pip, *options, requirement, folder=folder.parent
    )


def cache_root() -> Path:
    """Where all that is fetched is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "din-tfx"


def cache_folder() -> Path:
    """Where environments are kept: one for each set of requirements and base Python."""
    key = hashlib.sha256("\n".join([*REQUIREMENTS, str(BASE_PYTHON)]).encode()).hexdigest()[:12]
    return cache_root() / f"peers-{key}"


def _once(folder: Path, install: Callable[[Path], None]) -> None:
    """Makes a folder by `install` if its stamp, which is written last, is not there."""
    stamp = folder / ".complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second caller waits for the first one's installation
        if not stamp.exists():
            shutil.rmtree(folder, ignore_errors=True)
            install(folder)
            stamp.touch()


def prepare(folder: Path, install: Callable[[Path], None] = install) -> Path:
    """Returns the environment's Python, after making it if it is not there.

    Raises:
        InputError: it cannot be installed (the message names the step that failed), or it is damaged.
    """
    _once(folder, install)
    python = folder / "bin" / "python"
    if not python.exists():
        raise InputError(f"{python} is not there although it was installed: delete {folder}, and it is made anew.")
    return python


def package_files(requirement: str, unpack: Callable[[str, Path], None] = _unpack) -> Path:
    """The folder in the cache that holds the files of a package, which are fetched the first time; they stay there.

    Args:
        requirement: One version of it, e.g. "recbole==1.2.1".
        unpack: What fetches them.

    Raises:
        InputError: The package index cannot be reached, or has no such wheel.
    """
    folder = cache_root() / "packages" / requirement.replace("==", "-")
    _once(folder, lambda folder: unpack(requirement, folder))
    return folder
