"""The child process of `components.serving.model.loaded_model`: it holds a SavedModel in TensorFlow's C++ loader.

The process reads requests from stdin and writes one answer for each to stdout, in the form of `components.serving.model.process_messages`:
`["ok", result]` or `["error", code, message]`. The codes are TensorFlow's (https://grpc.io/docs/guides/status-codes/). What libraries print
goes to stderr. The process ends when its stdin ends. Once the library is loaded, and before it has a model, the process writes a first
answer without a request: its resident bytes.

| request                          | arrays            | result                                                      |
|----------------------------------|-------------------|-------------------------------------------------------------|
| `["load", folder, config]`       |                   | none; config is a serialised ConfigProto in hexadecimal     |
| `["run", feeds, fetches]`        | one for each feed | arrays in the order of fetches; both are names of tensors   |
| `["time", feeds, fetches, n, c]` | one for each feed | an array: seconds of each of n TF_SessionRuns of each of c  |
|                                  |                   | callers, (c · n,) float64                                   |
| `["modules"]`                    |                   | names of the Python modules that are imported               |
"""

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from components.serving.model.process_messages import read_frame, write_frame
from components.serving.model.tensorflow_c_session import Failed, Session, load_library

Arrays = list[np.ndarray]
Result = tuple[Any, Arrays]

_RESOURCE_EXHAUSTED = 8  # TensorFlow's code


def resident_bytes() -> int:
    """Returns the memory of this process that is resident now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers requests until they end."""
    session = Session(load_library())

    def load(_: Arrays, folder: str, config: str) -> Result:
        session.load(folder, bytes.fromhex(config))
        return None, []

    def run(arrays: Arrays, names: list[str], fetches: list[str]) -> Result:
        return None, session.run(list(zip(names, arrays, strict=True)), fetches)

    def time(arrays: Arrays, names: list[str], fetches: list[str], repeat: int, callers: int) -> Result:
        return None, [session.time(list(zip(names, arrays, strict=True)), fetches, repeat, callers)]

    def modules(_: Arrays) -> Result:
        return sorted(sys.modules), []

    does: dict[str, Callable[..., Result]] = {"load": load, "run": run, "time": time, "modules": modules}
    write_frame(answers, ["ok", resident_bytes()])
    while True:
        try:
            (kind, *arguments), arrays = read_frame(requests)
        except EOFError:
            return
        try:
            result, results = does[kind](arrays, *arguments)
        except Failed as error:
            write_frame(answers, ["error", *error.args])
        except MemoryError:
            write_frame(answers, ["error", _RESOURCE_EXHAUSTED, "memory is exhausted"])
        else:
            write_frame(answers, ["ok", result], results)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # a crash writes no core file
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    serve(sys.stdin.buffer, answers)
    os._exit(0)  # an orderly shutdown of the runtime only takes time


if __name__ == "__main__":
    main()
