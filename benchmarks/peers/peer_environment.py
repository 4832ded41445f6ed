"""Makes the virtual environment of the peers, whose libraries do not belong in ours, and fetches the files of packages.

PyPI's torch installs the CUDA libraries as well: 8 GB in all. If PyTorch's own index can be reached, UV_TORCH_BACKEND=cpu avoids them.
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
    "fuxictr==2.3.10",
    "onnx==1.23.2",
    "onnxruntime==1.32.0",
    "tf2onnx==1.17.0",
)
BASE_PYTHON = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
_ROOT = Path(__file__).parents[2]


def _run(purpose: str, *command: str | Path, folder: Path) -> None:
    """Runs a step of an installation in another folder, because uv would read our pyproject.toml."""
    process = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if process.returncode:
        reason = "\n".join(process.stdout.strip().splitlines()[-8:])
        raise InputError(f"{purpose}: `{' '.join(map(str, command))}` failed:\n{reason}")


def _uv() -> str | Path | None:
    """Returns the uv on PATH, or the one that deploy/setup.sh installed into .runtime; None if there is none."""
    return shutil.which("uv") or next(_ROOT.glob(".runtime/uv-*/bin/uv"), None)


def install(folder: Path) -> None:
    """Makes the environment with uv if there is one, else with venv and pip."""
    uv, purpose = _uv(), "The peers' environment cannot be made"
    python = folder / "bin" / "python"
    if uv:
        _run(purpose, uv, "venv", "--no-project", "--no-python-downloads", "--python", BASE_PYTHON, folder, folder=folder.parent)
        _run(purpose, uv, "pip", "install", "--python", python, *REQUIREMENTS, folder=folder.parent)
    else:
        _run(purpose, BASE_PYTHON, "-m", "venv", folder, folder=folder.parent)
        _run(purpose, python, "-m", "pip", "install", *REQUIREMENTS, folder=folder.parent)


def _unpack(requirement: str, folder: Path) -> None:
    """Unpacks a wheel into a folder, without its dependencies."""
    uv = _uv()
    pip = [uv, "pip", "install", "--python", BASE_PYTHON] if uv else [BASE_PYTHON, "-m", "pip", "install"]
    options = ("--no-deps", "--only-binary", ":all:", "--target", folder)
    _run(
        f"{requirement} cannot be fetched, which needs a connection to the package index", *pip, *options, requirement, folder=folder.parent
    )


def cache_root() -> Path:
    """Returns the folder that keeps everything that is fetched."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "din-tfx"


def cache_folder() -> Path:
    """Returns the folder of the environment: one for each set of requirements and base Python."""
    key = hashlib.sha256("\n".join([*REQUIREMENTS, str(BASE_PYTHON)]).encode()).hexdigest()[:12]
    return cache_root() / f"peers-{key}"


def _once(folder: Path, install: Callable[[Path], None]) -> None:
    """Makes a folder with `install`, unless it has its stamp, which is written last."""
    stamp = folder / ".complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second caller waits for the first one's installation
        if not stamp.exists():
            shutil.rmtree(folder, ignore_errors=True)
            install(folder)
            stamp.touch()


def prepare(folder: Path, install: Callable[[Path], None] = install) -> Path:
    """Makes the environment if it does not exist. Returns its Python.

    Args:
        folder: The folder of the environment.
        install: What makes it.

    Raises:
        InputError: The environment cannot be installed (the message names the failed step), or it is damaged.
    """
    _once(folder, install)
    python = folder / "bin" / "python"
    if not python.exists():
        raise InputError(f"{python} is missing although it was installed: delete {folder}, and the next run makes it again.")
    return python


def package_files(requirement: str, unpack: Callable[[str, Path], None] = _unpack) -> Path:
    """Returns the folder in the cache with the files of a package. They are fetched the first time, and stay there.

    Args:
        requirement: The package and its version, e.g. "recbole==1.2.1".
        unpack: What fetches the files.

    Raises:
        InputError: The package index cannot be reached or has no such wheel.
    """
    folder = cache_root() / "packages" / requirement.replace("==", "-")
    _once(folder, lambda folder: unpack(requirement, folder))
    return folder
