"""A SavedModel in TensorFlow's C++ loader, the one of TF Serving, in a process of its own that never imports Python TensorFlow.

A crash or a hang of the model ends that process, not its caller's.
"""

import contextlib
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from components.base.pins import read_meta_graph
from components.serving.model.process_messages import read_frame, write_frame

_LOADER_COMMAND = [sys.executable, "-P", "-m", "components.serving.model.loader_process"]
_LOAD_SECONDS = 300.0
_CLOSE_SECONDS = 5.0
_FAILED_PRECONDITION, _INVALID_ARGUMENT = 9, 3

Arrays = dict[str, np.ndarray]


class ModelError(Exception):
    """What a model or its process did wrong, in one line."""


class LoadError(ModelError):
    """The SavedModel cannot be loaded.

    Attributes:
        code: TensorFlow's (gRPC's) status code; 0 if the files could not even be read.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class RunError(ModelError):
    """A request failed.

    Attributes:
        code: TensorFlow's (gRPC's) status code.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Crashed(ModelError):
    """The process died, or did not answer in time and was killed."""


class Tensor(NamedTuple):
    """An input or output of a signature.

    Attributes:
        name: In the graph, as `operation:0`.
        dtype: TensorFlow's name, as int64 or string.
        shape: None for a dimension that is free; None altogether if even the rank is.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


class Signature(NamedTuple):
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


def read_signatures(saved_model: Path) -> dict[str, Signature]:
    """The signatures that a SavedModel states, its initialiser left out; nothing is loaded.

    Raises:
        LoadError: There is no saved_model.pb, or it cannot be read.
    """
    from google.protobuf.message import DecodeError

    try:
        definitions = read_meta_graph(saved_model).signature_def
    except (OSError, RuntimeError, ValueError, TypeError, DecodeError) as error:
        raise LoadError(0, one_line(str(error))) from error
    return {
        name: Signature(_tensors(definition.inputs), _tensors(definition.outputs))
        for name, definition in sorted(definitions.items())
        if not name.startswith("__")
    }


def _tensors(infos: Any) -> dict[str, Tensor]:
    import tensorflow as tf

    return {
        key: Tensor(
            info.name,
            tf.as_dtype(info.dtype).name,
            None if info.tensor_shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim),
        )
        for key, info in sorted(infos.items())
    }


def one_line(message: str) -> str:
    """TensorFlow's message without the nodes that it went through, in one line; of several errors the first."""
    message = re.sub(r"^.*root error\(s\) found\.\s*\(0\) (?:[A-Z_]+: )?", "", message.strip(), flags=re.DOTALL)
    return " ".join(re.split(r"\s*(?:\[\[|used by )\{\{(?:function_)?node|\n\s*\(1\) ", message)[0].split())


def _config(threads: int | None) -> bytes:
    from tensorflow.core.protobuf.config_pb2 import ConfigProto

    count = threads or 0  # TensorFlow's choice
    content: bytes = ConfigProto(intra_op_parallelism_threads=count, inter_op_parallelism_threads=count).SerializeToString()
    return content


class LoadedModel:
    """A loaded SavedModel. Requests of several threads are run one after another; end it with `close` or as a context.

    Attributes:
        signatures: As the SavedModel states them.
        idle_bytes: Resident memory of the process before it loaded the model.
        pid: Of the process.
    """

    def __init__(self, saved_model: Path, threads: int | None = None) -> None:
        """Starts the process and loads the model.

        Args:
            saved_model: Folder with saved_model.pb.
            threads: Of each of the two thread pools; None leaves it to TensorFlow.

        Raises:
            LoadError: The model cannot be loaded.
            Crashed: The process died on loading it.
        """
        self.signatures = read_signatures(saved_model)
        self._lock = threading.Lock()
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            _LOADER_COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ},
            process_group=0,  # Ctrl-C is the parent's to handle
        )
        self.pid = self._process.pid
        try:
            self.idle_bytes: int = self._exchange(None, _LOAD_SECONDS)[0]
            self._exchange(["load", str(saved_model), _config(threads).hex()], _LOAD_SECONDS)
        except RunError as error:
            self.close()
            raise LoadError(error.code, str(error)) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "LoadedModel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, signature: str, inputs: Arrays, timeout: float = 60.0) -> Arrays:
        """The outputs of a signature.

        Args:
            signature: Its name.
            inputs: An array for each of its inputs; strings as object arrays of bytes.
            timeout: Seconds.

        Raises:
            RunError: TensorFlow's own, or TF Serving's where signature or inputs are not the model's.
            Crashed: The process died, or was killed since it did not answer in time.
        """
        names, feeds, outputs = self._resolve(signature, inputs)
        _, arrays = self._exchange(["run", names, [tensor.name for tensor in outputs.values()]], timeout, feeds)
        return dict(zip(outputs, arrays, strict=True))

    def time(self, signature: str, inputs: Arrays, repeat: int, timeout: float = 600.0) -> np.ndarray:
        """Seconds of each of `repeat` runs, measured around TensorFlow's call alone: (repeat,) float64.

        Raises:
            RunError, Crashed: As `run`.
        """
        names, feeds, outputs = self._resolve(signature, inputs)
        _, (seconds,) = self._exchange(["time", names, [tensor.name for tensor in outputs.values()], repeat], timeout, feeds)
        return seconds

    def modules(self) -> list[str]:
        """Names of the Python modules in the process."""
        names: list[str] = self._exchange(["modules"], _CLOSE_SECONDS)[0]
        return names

    def resident_bytes(self) -> int:
        """Of the process, now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def peak_bytes(self) -> int:
        """The most that was ever resident of the process."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def memory_bytes(self) -> int:
        """What the model and its requests took at most: the peak less what was resident before it was loaded."""
        return self.peak_bytes() - self.idle_bytes

    def close(self) -> None:
        """Ends the process; once is enough, more does no harm."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # of a half-written request to a process that is gone
                    pipe.close()  # the process ends with its requests
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()

    def _resolve(self, signature: str, inputs: Arrays) -> tuple[list[str], list[np.ndarray], dict[str, Tensor]]:
        """Names and arrays to feed, and the outputs; refused with TF Serving's codes and, roughly, words."""
        found = self.signatures.get(signature)
        if found is None:
            raise RunError(_FAILED_PRECONDITION, f'Serving signature key "{signature}" not found.')
        if inputs.keys() != found.inputs.keys():
            extra, missing = sorted(inputs.keys() - found.inputs.keys()), sorted(found.inputs.keys() - inputs.keys())
            raise RunError(
                _INVALID_ARGUMENT,
                f"input size does not match signature: {len(inputs)}!={len(found.inputs)}. "
                f"Sent extra: {{{','.join(extra)}}}. Missing but required: {{{','.join(missing)}}}.",
            )
        arrays = [np.asarray(array) for array in inputs.values()]
        if not all(isinstance(value, bytes) for array in arrays if array.dtype == object for value in array.flat):
            raise RunError(_INVALID_ARGUMENT, "strings are needed as bytes")
        return [found.inputs[key].name for key in inputs], arrays, found.outputs

    def _exchange(self, request: Sequence[Any] | None, timeout: float, arrays: Sequence[np.ndarray] = ()) -> tuple[Any, list[np.ndarray]]:
        """Sends a request, if there is one, and awaits the next answer. Killing the process when the time is over ends the waiting."""
        assert self._process.stdin is not None and self._process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        with self._lock:
            watch = threading.Timer(timeout, give_up)
            watch.start()
            try:
                if request is not None:
                    write_frame(self._process.stdin, request, arrays)
                (status, *result), answered = read_frame(self._process.stdout)
            except (EOFError, OSError, ValueError) as error:
                raise Crashed(self._last_words(timeout if late.is_set() else None)) from error
            except BaseException:  # Ctrl-C: the answer still to come would be taken for that of the next request
                self._process.kill()
                raise
            finally:
                watch.cancel()
        if late.is_set():
            raise Crashed(self._last_words(timeout))
        if status == "error":
            code, message = result
            raise RunError(code, one_line(message))
        return result[0], answered

    def _last_words(self, timeout: float | None) -> str:
        """How the process ended, with the last that it printed."""
        code = self._process.wait()
        if timeout is not None:
            return f"the process gave no answer in {timeout:g} s"
        how = f"the process was ended by signal {-code}" if code < 0 else f"the process ended with exit code {code}"
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        told = [line.strip() for line in lines if line.strip() and not re.match(r"[IW]\d{4} |WARNING: All log", line)]
        fatal = [line for line in told if re.match(r"F\d{4} |.* F ", line)]  # TensorFlow's own, before the traces of others
        return f"{how} ({(fatal or told)[-1]})" if told else how
