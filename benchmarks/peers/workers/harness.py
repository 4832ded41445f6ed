"""The worker's side of the protocol: reads commands from standard input, and answers each with one line of JSON on standard output.

It needs only NumPy, because it runs in the peers' environment and in ours. The scripts in this folder import it without a package, because
Python puts the folder of a script on its path.

    {"do": "train", "batch": 256, "rows": 20000}    {"rows_per_s": …, "loss": …}: continues the training
    {"do": "infer", "batch": 1024, "rows": 50000}   {"rows_per_s": …}
    {"do": "auc"}                                   {"auc": …} on the held-out rows: it shows that the timed steps learn
    {"do": "profile", "batch": 1024}                {"shares": {…}}: the shares of a step's time by kind of op; only ours has it
    {"do": "stop"}                                  ends the process, like the end of standard input

The first line is {"ready": true, "version": …}. A failure ends the process with a traceback on standard error.

A script that times calls (`serve_calls`) has one command:

    {"call": "predict_32", "repeat": 100}           {"seconds": […]}: the seconds of each call
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

WARM_UP_BATCHES = 10


@dataclass(frozen=True)
class Data:
    """Impressions. The first `n_train` are for training. Ids begin at 1; 0 pads the histories, on the right."""

    user_id: np.ndarray  # (N,)
    candidate_item_id: np.ndarray  # (N,)
    historical_item_ids: np.ndarray  # (N, L)
    history_length: np.ndarray  # (N,)
    label: np.ndarray  # (N,)
    n_users: int
    n_items: int
    n_train: int


@dataclass(frozen=True)
class Model:
    """What an implementation can do.

    Attributes:
        version: The version of the library.
        train: `train(batch, rows)` trains on the next `rows` training rows, a multiple of `batch`, and returns their mean loss.
        predict: `predict(batch, rows)` returns the probabilities of the rows whose numbers are in the array `rows`.
        profile: `profile(batch)` returns the share of each kind of op in the time of training steps.
    """

    version: str
    train: Callable[[int, int], float]
    predict: Callable[[int, np.ndarray], np.ndarray]
    profile: Callable[[int], dict[str, float]] | None = None


def load(path: str) -> Data:
    """Reads the fields of `Data` from an .npz file."""
    with np.load(path) as file:
        fields: dict[str, Any] = {name: values if values.ndim else int(values) for name, values in file.items()}
    return Data(**fields)


def area_under_curve(label: np.ndarray, score: np.ndarray) -> float:
    """Returns the AUC, computed from ranks. Equal scores get the same rank."""
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    positives = int(label.sum())
    return float((rank[label == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(label) - positives)))


class Session:
    """Answers commands about one model."""

    def __init__(self, data: Data, model: Model) -> None:
        self._data, self._model = data, model
        self._warm: set[tuple[str, int]] = set()

    def answer(self, do: str, batch: int = 1024, rows: int = 0) -> dict[str, Any]:
        """Carries out one command."""
        if do == "auc":
            held_out = np.arange(self._data.n_train, len(self._data.label))
            return {"auc": area_under_curve(self._data.label[held_out], self._model.predict(batch, held_out).ravel())}
        if do == "profile":
            assert self._model.profile is not None
            return {"shares": self._model.profile(batch)}
        work = {"train": self._train, "infer": self._infer}[do]
        if (do, batch) not in self._warm:
            work(batch, WARM_UP_BATCHES * batch)
            self._warm.add((do, batch))
        rows = max(rows // batch, 1) * batch
        begin = time.perf_counter()
        result = work(batch, rows)
        return {"rows_per_s": rows / (time.perf_counter() - begin), **result}

    def _train(self, batch: int, rows: int) -> dict[str, Any]:
        return {"loss": float(self._model.train(batch, rows))}

    def _infer(self, batch: int, rows: int) -> dict[str, Any]:
        self._model.predict(batch, np.arange(rows) % len(self._data.label))
        return {}


def _take_stdout() -> IO[str]:
    """Returns standard output, and sends what libraries print from now on to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _answer(build: Callable[[], tuple[str, Callable[..., dict[str, Any]]]]) -> None:
    """Calls `build`, which returns a version and the function that carries out a command. Then answers commands until the end."""
    answers = _take_stdout()
    version, carry_out = build()
    print(json.dumps({"ready": True, "version": version}), file=answers, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if command.get("do") == "stop":
            break
        print(json.dumps(carry_out(**command)), file=answers, flush=True)


def read_requests(path: str) -> dict[str, tuple[str, dict[str, np.ndarray]]]:
    """Reads requests from a file: the signature and the inputs, by the name of the call.

    The file has frames of [name, signature, names of the inputs], each with the arrays of the inputs.
    """
    sys.path.insert(0, str(Path(__file__).parents[3]))
    from components.serving.model.process_messages import read_frame  # it needs only NumPy

    requests = {}
    with open(path, "rb") as file:
        while file.peek(1):
            (name, signature, names), arrays = read_frame(file)
            requests[name] = signature, dict(zip(names, arrays, strict=True))
    return requests


def serve_calls(build: Callable[[], tuple[str, dict[str, Callable[[], object]]]]) -> None:
    """Runs a script that times calls. `build` returns a version and the calls by name."""

    def timed() -> tuple[str, Callable[..., dict[str, Any]]]:
        version, calls = build()
        return version, lambda call, repeat: {"seconds": [_seconds(calls[call]) for _ in range(repeat)]}

    _answer(timed)


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def serve(build: Callable[[Data], Model]) -> None:
    """Runs a script that measures a model. The .npz file of the data is the first argument of the script."""

    def session() -> tuple[str, Callable[..., dict[str, Any]]]:
        data = load(sys.argv[1])
        model = build(data)
        return model.version, Session(data, model).answer

    _answer(session)
