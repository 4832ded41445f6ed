"""TF Serving's own `tensorflow_model_server` on one SavedModel: the gate starts it, asks it over gRPC and REST, and ends it.

A TCP port of gRPC would be open on 0.0.0.0, so gRPC uses a UNIX socket in a private folder, and `--port=0` closes the port. REST can only
listen on all addresses (`::`): while the gate runs, a free port answers on every interface (tensorflow_serving/model_servers/server.cc and
util/net_http/server/internal/evhttp_server.cc). The server does not retry to load, so that it ends at once if the model cannot be loaded.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluation.metrics.catalogue import PROBABILITY
from components.serving.model.impression_tensors import json_instances
from components.serving.model.loaded_model import Arrays
from components.serving.model.model_errors import Crashed, LoadError, RunError, one_line
from components.serving.store.versions import WARM_UP_FILE
from din_trainer.training.card_settings import NO_CARDS

BINARY = "tensorflow_model_server"

_NAME = "gate"
_VERSION = "1"
_START_SECONDS = 300.0
_POLL_SECONDS = 0.05
_CALL_SECONDS = 60.0
_STOP_SECONDS = 10.0
_END_SECONDS = 0.5
_UNKNOWN, _UNAVAILABLE = 2, 14
_CODES = {400: 3, 404: 5, 429: 8, 501: 12, 503: 14, 504: 4}  # the inverse of ToHTTPStatusCode in http_server.cc


def find_model_server(named: str) -> str | None:
    """Returns the binary that the settings name, otherwise the one on PATH; None if there is none."""
    return named or shutil.which(BINARY)


class ModelServer:
    """A running server. End it with `close`, or use it as a context.

    Attributes:
        pid: The id of the process.
    """

    def __init__(self, binary: str, saved_model: Path, warm_up: Path | None = None) -> None:
        """Starts the server and waits until the model is available.

        Args:
            binary: The path of `tensorflow_model_server`.
            saved_model: The folder with saved_model.pb.
            warm_up: Requests that the server runs before it serves the model.

        Raises:
            LoadError: The server does not start, cannot load the model, or cannot run the warm-up.
        """
        import grpc
        import requests
        from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

        self._folder = Path(tempfile.mkdtemp(prefix="din-gate-"))  # short: the path of a socket has at most 107 bytes
        self._log = tempfile.TemporaryFile()
        self._process: subprocess.Popen[bytes] | None = None
        self._http = requests.Session()
        self._http.trust_env = False  # no proxy
        socket_path, port = self._folder / "grpc", _free_port()
        self._url = f"http://127.0.0.1:{port}/v1/models/{_NAME}"
        self._channel = grpc.insecure_channel(f"unix:{socket_path}", [("grpc.max_receive_message_length", -1)])
        self._stub = PredictionServiceStub(self._channel)
        try:
            _link_version(saved_model, warm_up, self._folder / "versions" / _VERSION)
            flags = {
                "port": 0, "grpc_socket_path": socket_path, "rest_api_port": port, "model_name": _NAME,
                "model_base_path": self._folder / "versions", "file_system_poll_wait_seconds": 0, "max_num_load_retries": 0,
            }  # fmt: skip
            self._process = subprocess.Popen(
                [binary, *(f"--{name}={value}" for name, value in flags.items())],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env={"TF_CPP_MIN_LOG_LEVEL": "1", **os.environ, **NO_CARDS},
                process_group=0,
            )
            self.pid = self._process.pid
            self._await()
        except OSError as error:
            self.close()
            raise LoadError(0, f"{binary} cannot be started: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "ModelServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _await(self) -> None:
        """Polls the status of the model over REST, which the server starts last.

        Raises:
            LoadError: The model is not available in time, or the server ended.
        """
        import requests

        ends = time.monotonic() + _START_SECONDS
        while time.monotonic() < ends:
            try:
                status = self._http.get(self._url, timeout=_CALL_SECONDS).json()["model_version_status"][0]
            except (requests.RequestException, ValueError, KeyError, IndexError):  # REST does not answer yet
                status = {"state": "START"}
            if status["state"] == "AVAILABLE":
                return
            if status["state"] == "END":
                raise LoadError(_UNKNOWN, one_line(status["status"]["error_message"]))
            if self._ended() is not None:
                raise LoadError(_UNKNOWN, self._last_words())
            time.sleep(_POLL_SECONDS)
        raise LoadError(4, f"the model was not available after {_START_SECONDS:g} s")

    def _ended(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def _last_words(self) -> str:
        self._log.seek(0)
        told = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        last = re.sub(r"^Failed to start server\. Error: (\w+: )?", "", told[-1]) if told else "it printed nothing"
        code = self._ended() or 0
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"{BINARY} {how} ({last})"

    def run(self, signature: str, inputs: Arrays, timeout: float = _CALL_SECONDS) -> Arrays:
        """Returns the outputs of a signature, over gRPC.

        Raises:
            RunError: The server answered with an error.
            Crashed: The server ended.
        """
        import tensorflow as tf
        from tensorflow_serving.apis.predict_pb2 import PredictRequest

        request = PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = _NAME, signature
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        response = self._predict(request, timeout)
        return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}

    def _predict(self, request: Any, timeout: float) -> Any:
        import grpc

        try:
            return self._stub.Predict(request, timeout=timeout)
        except grpc.RpcError as error:
            self._raise_if_ended()
            raise RunError(error.code().value[0], one_line(error.details())) from error

    def run_rest(self, signature: str, inputs: Arrays, timeout: float = _CALL_SECONDS) -> Arrays:
        """Returns the outputs of a scoring signature, over REST with `instances`.

        Raises:
            RunError, Crashed: As for `run`.
        """
        import requests

        body = {"signature_name": signature, "instances": json_instances(inputs)}
        try:
            response = self._http.post(f"{self._url}:predict", data=json.dumps(body).encode(), timeout=timeout)  # may hold NaN
            answer = response.json()
        except (requests.RequestException, ValueError) as error:
            self._raise_if_ended()
            raise RunError(_UNAVAILABLE, f"REST gave no answer ({type(error).__name__})") from error
        if response.status_code != 200 or "predictions" not in answer:
            raise RunError(_CODES.get(response.status_code, _UNKNOWN), one_line(str(answer.get("error", answer))))
        rows = [row if isinstance(row, dict) else {PROBABILITY: row} for row in answer["predictions"]]  # a single output has no name
        return {name: np.array([row[name] for row in rows], np.float32) for name in (rows[0] if rows else [PROBABILITY])}

    def time(self, signature: str, inputs: Arrays, repeat: int) -> np.ndarray:
        """Returns the seconds that each of `repeat` calls over gRPC took, with their transport: (repeat,) float64.

        Raises:
            RunError, Crashed: As for `run`.
        """
        seconds = np.empty(repeat)
        for i in range(repeat):
            start = time.perf_counter()
            self.run(signature, inputs)
            seconds[i] = time.perf_counter() - start
        return seconds

    def memory_bytes(self) -> int:
        """Returns the largest resident memory that the process ever had, minus what is mapped from files now: the server's program."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        peak, files = (int(status.split(f"{name}:")[1].split()[0]) for name in ("VmHWM", "RssFile"))
        return (peak - files) * 1024

    def close(self) -> None:
        """Ends the server with SIGTERM, or with SIGKILL if it does not end in time."""
        self._channel.close()
        self._http.close()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _raise_if_ended(self) -> None:
        """Waits a moment for the end of the process: a connection breaks slightly before the process has ended.

        Raises:
            Crashed: The process has ended.
        """
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
            raise Crashed(self._last_words())


def _free_port() -> int:
    """Returns a port on which nothing listens now."""
    with socket.create_server(("", 0)) as listener:
        return int(listener.getsockname()[1])


def _link_version(saved_model: Path, warm_up: Path | None, version: Path) -> None:
    """Makes a version folder with links to the files of the SavedModel, and to the warm-up requests where TF Serving looks for them."""
    extra = version / WARM_UP_FILE.split("/")[0]
    extra.mkdir(parents=True)
    for path in [*saved_model.iterdir(), *saved_model.glob(f"{extra.name}/*")]:
        if path.name != extra.name:
            (version / path.relative_to(saved_model)).symlink_to(path.absolute())
    if warm_up is not None:
        (version / WARM_UP_FILE).symlink_to(warm_up.absolute())
