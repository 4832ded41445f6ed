"""Writes the models that `din bench serve` compares: our SavedModels and those of the peers, with random weights."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.worker_process import WORKERS
from components.base.errors import InputError

IDS = {"user": 1_000, "item": 500, "category": 40}  # the sizes of the vocabularies
HISTORY, RANKED_HISTORIES = 10, (10, 50)


class Exports(NamedTuple):
    """The models: ours by the length of their histories, the peers' for histories of `HISTORY`."""

    ours: dict[int, Path]
    plain_keras: Path
    onnx_core: Path
    deepctr: Path


def make_exports(folder: Path, peers_python: Path) -> Exports:
    """Writes all models in parallel.

    Args:
        folder: Where they are written.
        peers_python: The Python of the peers' environment.

    Raises:
        InputError: A model cannot be written; the message contains the end of the process's standard error.
    """
    ids, ours = json.dumps(IDS), [sys.executable, str(WORKERS / "our_exports.py"), str(folder / "ours"), json.dumps(RANKED_HISTORIES)]
    peers = {
        "plain Keras": [str(peers_python), str(WORKERS / "plain_keras_din.py"), str(folder), str(HISTORY)],
        "DeepCTR": [str(peers_python), str(WORKERS / "deepctr_export.py"), str(folder / "deepctr"), str(HISTORY)],
    }
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(_export, name, [*command, ids]) for name, command in {"our model": ours, **peers}.items()]:
            done.result()
    return Exports(
        ours={length: folder / "ours" / str(length) for length in RANKED_HISTORIES},
        plain_keras=folder / "saved_model",
        onnx_core=folder / "core.onnx",
        deepctr=folder / "deepctr",
    )


def _export(name: str, command: list[str]) -> None:
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        raise InputError(f"The export of {name} failed: {process.stderr.strip()[-2000:]}")
