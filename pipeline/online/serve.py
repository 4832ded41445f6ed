"""`din serve`: TF Serving on the pushed models, its own binary or the official container; where there is neither, the stand-in.

A running TF Serving refuses a configuration that moves a label in use to a version which it has not loaded yet, and where it polls a file,
it does so for ever (server_core.cc, UpdateModelVersionLabelMap). So it is handed each change of `models.config` in two steps over gRPC:
first the new versions beside those that it serves, then, when they are there, the labels.

Batching is left off: TF Serving refuses requests that meet in a batch and whose histories are not equally wide.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.base.errors import InputError
from components.serving.store.models_config import MODELS_CONFIG, ServedModel, read_models_config

LOG_FILE = "serve.log"  # of the workspace: what TensorFlow prints
BINARY = "tensorflow_model_server"
IMAGE = "tensorflow/serving"

_IN_IMAGE = f"/usr/bin/{BINARY}"  # without the image's shell script, which does not hand signals on
_POLL_SECONDS = 1.0
_CALL_SECONDS = 60.0
_STOP_SECONDS = 15.0

Say = Callable[[str], None]


def serve(folder: Path, rest_port: int, grpc_port: int, stand_in: bool, say: Say) -> None:
    """Serves a folder of versions until SIGINT or SIGTERM; says in a line each where.

    Args:
        folder: Versions and their `models.config`.
        rest_port: 0 takes a free one.
        grpc_port: 0 takes a free one.
        stand_in: Whether to take the stand-in, even if there is a TF Serving.
        say: Is told in a line each what the user is to know.

    Raises:
        InputError: Nothing there can be served, a port is taken, or TF Serving ends by itself.
    """
    served = read_models_config(folder)
    if served is None:
        raise InputError(f"{folder} has no {MODELS_CONFIG}: push a model with din run, or name a version with din rollback --to.")
    stop = threading.Event()
    with _signals(stop):
        if not stand_in and shutil.which(BINARY):
            _serve_process(folder, served, None, rest_port, grpc_port, say, stop)
        elif not stand_in and (image := _local_image()):
            _serve_process(folder, served, image, rest_port, grpc_port, say, stop)
        else:
            _serve_stand_in(folder, rest_port, grpc_port, say, stop)


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _serve_stand_in(folder: Path, rest_port: int, grpc_port: int, say: Say, stop: threading.Event) -> None:
    from pipeline.online.stand_in.stand_in import StandIn

    ports = {"--rest-port": rest_port, "--grpc-port": grpc_port}
    for option, port in ports.items():
        _check_free(option, port, "127.0.0.1")
    say("This is a development stand-in, not TF Serving: for its answers, not for its speed. With tensorflow_model_server on the PATH, or")
    say(f"the image {IMAGE} in Docker, din serve starts that.")
    with StandIn(folder, rest_port, grpc_port, say) as server:
        _say_where(server.rest_url, server.grpc_url, say)
        stop.wait()


def _say_where(rest_url: str, grpc_url: str, say: Say) -> None:
    say(f"REST  {rest_url}")
    say(f"gRPC  {grpc_url}")


def _check_free(option: str, port: int, host: str) -> int:
    """The port, or a free one for 0."""
    try:
        with socket.create_server((host, port)) as listener:
            return listener.getsockname()[1]
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise InputError(f"port {port} cannot be had ({reason}): choose another with {option}, or 0 for any free one.") from error


def _local_image() -> str | None:
    """The newest TF Serving image that Docker has, if Docker answers; nothing is pulled."""
    if not shutil.which("docker"):
        return None
    words = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", IMAGE]
    try:
        listed = subprocess.run(words, capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return None
    return next((image for image in listed.stdout.split() if "<none>" not in image), None) if listed.returncode == 0 else None


def _flags(config: Path, rest_port: int, grpc_port: int) -> list[str]:
    ports = [f"--rest_api_port={rest_port}", f"--port={grpc_port}"]
    return [*ports, f"--model_config_file={config}", "--allow_version_labels_for_unavailable_models"]


def _container(image: str, places: list[Path], ports: list[int]) -> list[str]:
    """The server in the image, with places as they are here, read-only, and ports on 127.0.0.1."""
    published = [word for port in ports for word in ("--publish", f"127.0.0.1:{port}:{port}")]
    mounts = [word for place in places for word in ("--volume", f"{place}:{place}:ro")]
    # --init: as process 1 the server would not heed SIGTERM
    return ["docker", "run", "--rm", "--init", "--pull", "never", *published, *mounts, "--entrypoint", _IN_IMAGE, image]


def _serve_process(
    folder: Path,
    served: ServedModel,
    image: str | None,
    rest_port: int,
    grpc_port: int,
    say: Say,
    stop: threading.Event,
) -> None:
    host = "127.0.0.1" if image else ""
    rest_port, grpc_port = _check_free("--rest-port", rest_port, host), _check_free("--grpc-port", grpc_port, host)
    folder = folder.absolute()
    with tempfile.TemporaryDirectory(prefix="din-serve-") as aside:
        Path(aside).chmod(0o755)  # whoever the container runs as reads it
        config = Path(aside, MODELS_CONFIG)
        config.write_text(str(_server_config(served, folder)))
        flags = _flags(config, rest_port, grpc_port)
        command = [*_container(image, [folder, Path(aside)], [rest_port, grpc_port]), *flags] if image else [BINARY, *flags]
        process = subprocess.Popen(command, start_new_session=True)  # Ctrl-C is ours to hand on
        try:
            follower = Follower(folder, served, f"127.0.0.1:{grpc_port}", say)
            while not stop.is_set() and process.poll() is None and not follower.is_ready():
                stop.wait(_POLL_SECONDS / 5)
            if process.poll() is None and not stop.is_set():
                if not image:
                    say("TF Serving's own binary listens on all interfaces: let no one reach these ports who is not to.")
                _say_where(f"http://127.0.0.1:{rest_port}/v1/models/{served.name}", f"grpc://127.0.0.1:{grpc_port}/{served.name}", say)
            while not stop.wait(_POLL_SECONDS) and process.poll() is None:
                follower.follow()
            if not stop.is_set():
                raise InputError(
                    f"{image or BINARY} ended by itself, with status {process.returncode}: {LOG_FILE} in the workspace says why."
                )
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _server_config(served: ServedModel, folder: Path, also: Iterable[int] = ()) -> Any:
    """A ModelServerConfig of the versions that have a label, and others; where they lie here, whatever `base_path` says of elsewhere."""
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    config = ModelServerConfig()
    model = config.model_config_list.config.add(name=served.name, base_path=str(folder), model_platform="tensorflow")
    model.model_version_policy.specific.versions.extend(sorted({*served.labels.values(), *also}))
    model.version_labels.update(served.labels)
    return config


class Follower:
    """Hands the changes of `models.config` to a running TF Serving.

    Args:
        folder: Versions and their `models.config`.
        served: What the server was started with.
        address: Of its gRPC side.
        say: Is told in a line each what was changed, or could not be.
    """

    def __init__(self, folder: Path, served: ServedModel, address: str, say: Say) -> None:
        import grpc
        from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub

        self._folder, self._served, self._say = folder, served, say
        self._seen = served  # last in the file
        self._pending: ServedModel | None = None  # while its versions are loaded
        self._told = ""  # last error of the file
        self._stub = ModelServiceStub(grpc.insecure_channel(address, [("grpc.max_reconnect_backoff_ms", 1000)]))

    def is_ready(self) -> bool:
        """Whether all versions are there."""
        missing, _ = self._missing(self._served.labels)
        return not missing

    def follow(self) -> None:
        """Brings the server a step nearer to what the file says; to be called again and again."""
        import grpc

        try:
            asked = self._asked()
            changed = asked != self._seen
            if changed:
                self._seen = self._pending = asked
                self._reload(self._served, *asked.labels.values())
            if self._pending:
                missing, failed = self._missing(self._pending.labels)
                if not missing:
                    self._reload(self._pending)
                    self._served, self._pending = self._pending, None
                    self._say("served now: " + ", ".join(f"{label} {version}" for label, version in self._served.labels.items()))
                elif failed and not changed:  # right after a change, the states may still be those of an earlier try
                    self._pending = None
                    self._reload(self._served)
                    self._say(f"TF Serving cannot load {', '.join(map(str, failed))}: it serves on what it had.")
        except grpc.RpcError as error:
            self._pending = None
            self._say(f"TF Serving refuses the new {MODELS_CONFIG} ({error.details()}): it serves on what it had.")

    def _asked(self) -> ServedModel:
        """What the file says; what it said, if it cannot be read now."""
        try:
            asked = read_models_config(self._folder)
        except InputError as error:
            if str(error) != self._told:
                self._told = str(error)
                self._say(self._told)
            return self._seen
        self._told = ""
        return asked or self._seen

    def _missing(self, labels: Mapping[str, int]) -> tuple[list[int], list[int]]:
        """The versions that are not available, and those of them that could not be loaded."""
        import grpc
        from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, ModelVersionStatus

        request = GetModelStatusRequest()
        request.model_spec.name = self._served.name
        try:
            statuses = self._stub.GetModelStatus(request, timeout=_CALL_SECONDS).model_version_status
        except grpc.RpcError:
            statuses = []
        found = {status.version: status for status in statuses}
        available = {version for version, status in found.items() if status.state == ModelVersionStatus.AVAILABLE}
        missing = sorted(set(labels.values()) - available)
        failed = [version for version in missing if version in found and found[version].status.error_code]
        return missing, failed

    def _reload(self, served: ServedModel, *also: int) -> None:
        from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest

        config = _server_config(served, self._folder, also)
        self._stub.HandleReloadConfigRequest(ReloadConfigRequest(config=config), timeout=_CALL_SECONDS)
