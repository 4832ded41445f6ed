"""A SavedModel in TensorFlow's C++ loader, which TF Serving uses too, in its own process that never imports Python TensorFlow.

A model that crashes or hangs ends that process, not the process of the caller.
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
from typing import Any

import numpy as np

from components.serving.model.model_errors import Crashed, LoadError, RunError, one_line
from components.serving.model.process_messages import read_frame, write_frame
from components.serving.model.saved_signatures import Tensor, read_signatures
from din_trainer.training.card_settings import NO_CARDS

_LOADER_COMMAND = [sys.executable, "-P", "-m", "components.serving.model.loader_process"]
_LOAD_SECONDS = 300.0
_CLOSE_SECONDS = 5.0
_FAILED_PRECONDITION, _INVALID_ARGUMENT = 9, 3

Arrays = dict[str, np.ndarray]


class LoadedModel:
    """A loaded SavedModel. Requests of several threads run one after another. End it with `close`, or use it as a context.

    Attributes:
        signatures: The signatures of the SavedModel.
        idle_bytes: Resident memory of the process before it loaded the model.
        pid: The id of the process.
    """

    def __init__(self, saved_model: Path, threads: int | None = None, op_threads: int | None = None) -> None:
        """Starts the process and loads the model.

        Args:
            saved_model: The folder with saved_model.pb.
            threads: How many operations run at the same time; None lets TensorFlow choose.
            op_threads: How many threads share one operation; None means as many as `threads`.

        Raises:
            LoadError: The model cannot be loaded.
            Crashed: The process died while it loaded the model.
        """
        self.signatures = read_signatures(saved_model)
        self._lock = threading.Lock()
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            _LOADER_COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ, **NO_CARDS},
            process_group=0,  # Ctrl-C reaches only the parent, which ends this process
        )
        self.pid = self._process.pid
        try:
            self.idle_bytes: int = self._exchange(None, _LOAD_SECONDS)[0]
            self._exchange(["load", str(saved_model), _config(threads or 0, op_threads or threads or 0).hex()], _LOAD_SECONDS)
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
        """Returns the outputs of a signature.

        Args:
            signature: The name of the signature.
            inputs: An array for each of its inputs; strings are object arrays of bytes.
            timeout: Seconds.

        Raises:
            RunError: TensorFlow refused the request, or the signature or the inputs are not those of the model.
            Crashed: The process died, or it was killed because it did not answer in time.
        """
        names, feeds, outputs = self._resolve(signature, inputs)
        _, arrays = self._exchange(["run", names, [tensor.name for tensor in outputs.values()]], timeout, feeds)
        return dict(zip(outputs, arrays, strict=True))

    def time(self, signature: str, inputs: Arrays, repeat: int, timeout: float = 600.0, callers: int = 1) -> np.ndarray:
        """Returns the seconds that each of `repeat` runs took in TensorFlow's call alone: (callers · repeat,) float64.

        Args:
            signature: The name of the signature.
            inputs: As for `run`.
            repeat: The runs of each caller, one after the other.
            timeout: Seconds.
            callers: How many threads of the process call at the same time.

        Raises:
            RunError, Crashed: As for `run`.
        """
        names, feeds, outputs = self._resolve(signature, inputs)
        _, (seconds,) = self._exchange(["time", names, [tensor.name for tensor in outputs.values()], repeat, callers], timeout, feeds)
        return seconds

    def modules(self) -> list[str]:
        """Returns the names of the Python modules that the process has imported."""
        names: list[str] = self._exchange(["modules"], _CLOSE_SECONDS)[0]
        return names

    def resident_bytes(self) -> int:
        """Returns the memory of the process that is resident now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def peak_bytes(self) -> int:
        """Returns the largest resident memory that the process ever had."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def memory_bytes(self) -> int:
        """Returns how much the model and its requests took at most: the peak minus what was resident before the model was loaded."""
        return self.peak_bytes() - self.idle_bytes

    def close(self) -> None:
        """Ends the process. It may be called again."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # a request was half written when the process died
                    pipe.close()  # without requests, the process ends
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()

    def _resolve(self, signature: str, inputs: Arrays) -> tuple[list[str], list[np.ndarray], dict[str, Tensor]]:
        """Returns the names and arrays to feed, and the outputs. A wrong request is refused with TF Serving's status codes."""
        found = self.signatures.get(signature)
        if found is None:
            raise RunError(_FAILED_PRECONDITION, f"there is no signature {signature!r}")
        if inputs.keys() != found.inputs.keys():
            given, needed = inputs.keys(), found.inputs.keys()
            missing, unknown = (", ".join(sorted(names)) or "none" for names in (needed - given, given - needed))
            raise RunError(_INVALID_ARGUMENT, f"the inputs do not fit the signature: missing: {missing}; unknown: {unknown}")
        arrays = [np.asarray(array) for array in inputs.values()]
        if not all(isinstance(value, bytes) for array in arrays if array.dtype == object for value in array.flat):
            raise RunError(_INVALID_ARGUMENT, "strings must be given as bytes")
        return [found.inputs[key].name for key in inputs], arrays, found.outputs

    def _exchange(self, request: Sequence[Any] | None, timeout: float, arrays: Sequence[np.ndarray] = ()) -> tuple[Any, list[np.ndarray]]:
        """Sends a request, if one is given, and waits for the next answer. After the timeout it kills the process, which ends the wait."""
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
            except BaseException:  # Ctrl-C: the next request would get the answer of this one
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
        """Returns how the process ended, and the last line that it printed."""
        code = self._process.wait()
        if timeout is not None:
            return f"the process gave no answer in {timeout:g} s"
        how = f"the process was ended by signal {-code}" if code < 0 else f"the process ended with exit code {code}"
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        told = [line.strip() for line in lines if line.strip() and not re.match(r"[IW]\d{4} |WARNING: All log", line)]
        fatal = [line for line in told if re.match(r"F\d{4} |.* F ", line)]  # TensorFlow's own message comes before the traces of others
        return f"{how} ({(fatal or told)[-1]})" if told else how


def _config(threads: int, op_threads: int) -> bytes:
    """The options of a session; 0 lets TensorFlow choose."""
    from tensorflow.core.protobuf.config_pb2 import ConfigProto

    content: bytes = ConfigProto(intra_op_parallelism_threads=op_threads, inter_op_parallelism_threads=threads).SerializeToString()
    return content
