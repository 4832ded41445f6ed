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

from pipeline.errors import InputError

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
_ROOT = Path(__file__).parents[1]


def _run(*command: str | Path, folder: Path) -> None:
    """Runs a step of the installation, away from our pyproject.toml, which uv would read."""
    process = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if process.returncode:
        reason = "\n".join(process.stdout.strip().splitlines()[-8:])
        raise InputError(f"The peers' environment cannot be made: `{' '.join(map(str, command))}` failed:\n{reason}")


def install(folder: Path) -> None:
    """Makes the environment: by uv (the one on PATH, else the one that deploy/setup.sh put into .runtime), else by venv and pip."""
    uv = shutil.which("uv") or next(_ROOT.glob(".runtime/uv-*/bin/uv"), None)
    python = folder / "bin" / "python"
    if uv:
        _run(uv, "venv", "--no-project", "--no-python-downloads", "--python", BASE_PYTHON, folder, folder=folder.parent)
        _run(uv, "pip", "install", "--python", python, *REQUIREMENTS, folder=folder.parent)
    else:
        _run(BASE_PYTHON, "-m", "venv", folder, folder=folder.parent)
        _run(python, "-m", "pip", "install", *REQUIREMENTS, folder=folder.parent)


def cache_folder() -> Path:
    """Where environments are kept: one for each set of requirements and base Python."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = hashlib.sha256("\n".join([*REQUIREMENTS, str(BASE_PYTHON)]).encode()).hexdigest()[:12]
    return cache / "din-tfx" / f"peers-{key}"


def prepare(folder: Path, install: Callable[[Path], None] = install) -> Path:
    """Returns the environment's Python, after making it if its stamp, which is written last, is not there.

    Raises:
        InputError: it cannot be installed; the message names the step that failed.
    """
    stamp = folder / ".complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second caller waits for the first one's installation
        if not stamp.exists():
            shutil.rmtree(folder, ignore_errors=True)
            install(folder)
            stamp.touch()
    return folder / "bin" / "python"
