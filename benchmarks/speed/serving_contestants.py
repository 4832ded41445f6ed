"""The models that `din bench serve` compares, each loaded in a process of its own, on one thread and one core."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.peers.worker_process import WORKERS, Worker
from benchmarks.speed.serving_exports import HISTORY, Exports
from benchmarks.speed.serving_requests import Requests
from components.serving.model.impression_tensors import Tensors
from components.serving.model.loaded_model import LoadedModel
from components.serving.model.process_messages import write_frame

THREADS = 1

TimedCalls = Callable[[int], np.ndarray]  # makes n calls and returns the seconds of each, (n,)


class Contestants(contextlib.ExitStack):
    """All models and runtimes; a context that ends their processes.

    Args:
        exports: The models.
        requests: The requests by their number of rows.
        peers_python: The Python of the environment that has ONNX Runtime.
        folder: Where the workers' requests are written.
    """

    def __init__(self, exports: Exports, requests: dict[int, Requests], peers_python: Path, folder: Path):
        super().__init__()
        self._requests = requests
        with contextlib.ExitStack() as loaded:
            self.ours = {length: loaded.enter_context(LoadedModel(path, THREADS)) for length, path in exports.ours.items()}
            self._keras = loaded.enter_context(LoadedModel(exports.plain_keras, THREADS))
            self._deepctr = loaded.enter_context(LoadedModel(exports.deepctr, THREADS))
            in_python = {
                f"{signature}_{rows}": (signature, inputs)
                for rows, request in requests.items()
                for signature, inputs in (("serving_default", request.examples), ("predict", request.raw))
            }
            core = {f"core_{rows}": ("", request.core) for rows, request in requests.items()}
            python = start_worker("python_calls.py", sys.executable, exports.ours[HISTORY], in_python, folder)
            self._python = loaded.enter_context(contextlib.closing(python))
            onnx = start_worker("onnx_calls.py", str(peers_python), exports.onnx_core, core, folder)
            self._onnx = loaded.enter_context(contextlib.closing(onnx))
            loaders = [*self.ours.values(), self._keras, self._deepctr]
            for pid in [*(loader.pid for loader in loaders), self._python.pid, self._onnx.pid]:
                pin(pid)
            self.push(loaded.pop_all())

    @property
    def versions(self) -> dict[str, str]:
        """The versions of the runtimes."""
        return {"tensorflow": self._python.version, "onnxruntime": self._onnx.version}

    def calls(self, rows: int) -> dict[str, TimedCalls]:
        """Returns the timed calls of all models with a request of so many rows, by the names of `serving_speed.OURS` and `PEERS`."""
        request, ours = self._requests[rows], self.ours[HISTORY]
        return {
            "serving_default": loader_calls(ours, "serving_default", request.examples),
            "predict": loader_calls(ours, "predict", request.raw),
            "plain_keras": loader_calls(self._keras, "serving_default", request.raw),
            "deepctr": loader_calls(self._deepctr, "serving_default", request.deepctr),
            "onnx_core": _worker_calls(self._onnx, f"core_{rows}"),
            "transform_features": loader_calls(ours, "transform_features", request.examples),
            "python_serving_default": _worker_calls(self._python, f"serving_default_{rows}"),
            "python_predict": _worker_calls(self._python, f"predict_{rows}"),
        }


def start_worker(script: str, python: str, model: Path, requests: dict[str, tuple[str, Tensors]], folder: Path) -> Worker:
    """Starts a script of `workers/` that times calls of a model.

    Args:
        script: The name of the script.
        python: The Python that runs it.
        model: What it loads.
        requests: The signature and the inputs of each call, by the name of the call.
        folder: Where the requests are written for it.
    """
    file = folder / f"{script}.frames"
    with open(file, "wb") as frames:
        for name, (signature, inputs) in requests.items():
            write_frame(frames, [name, signature, list(inputs)], list(inputs.values()))
    return Worker(script, [python, str(WORKERS / script), str(model), str(file), str(THREADS)])


def loader_calls(model: LoadedModel, signature: str, inputs: Tensors) -> TimedCalls:
    """Returns what times calls of a signature in TensorFlow's C++ loader."""
    return lambda repeat: model.time(signature, inputs, repeat)


def _worker_calls(worker: Worker, call: str) -> TimedCalls:
    return lambda repeat: np.array(worker.ask(call=call, repeat=repeat)["seconds"])


def pin(pid: int) -> None:
    """Keeps a process and its threads on one core. Otherwise a thread that hands work to another may wait until a core wakes up."""
    core = {min(os.sched_getaffinity(0))}
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), core)
