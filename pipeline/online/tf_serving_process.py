"""TF Serving as a child process: its own binary, or the official image in Docker.

Batching is off: TF Serving refuses requests that meet in a batch and whose histories have different widths.
"""

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from components.base.errors import InputError
from components.serving.store.models_config import MODELS_CONFIG, ServedModel
from pipeline.online.models_config_follower import Follower, server_config

LOG_FILE = "serve.log"  # in the workspace: what TF Serving prints
BINARY = "tensorflow_model_server"
IMAGE = "tensorflow/serving"

_IN_IMAGE = f"/usr/bin/{BINARY}"  # without the image's shell script, which does not pass signals on
_POLL_SECONDS = 1.0
_STOP_SECONDS = 15.0


def local_image() -> str | None:
    """Returns the newest TF Serving image that Docker has here; None if Docker does not answer or has none. Nothing is pulled."""
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
    one_thread = "--tensorflow_intra_op_parallelism=1"  # an operation: as in deploy/serving/compose.yaml
    return [*ports, f"--model_config_file={config}", "--allow_version_labels_for_unavailable_models", one_thread]


def _container(image: str, places: list[Path], ports: list[int]) -> list[str]:
    """Returns the command that runs the server in the image: places are mounted read-only at the same paths, ports are on 127.0.0.1."""
    published = [word for port in ports for word in ("--publish", f"127.0.0.1:{port}:{port}")]
    mounts = [word for place in places for word in ("--volume", f"{place}:{place}:ro")]
    # --init: as process 1 the server would ignore SIGTERM
    return ["docker", "run", "--rm", "--init", "--pull", "never", *published, *mounts, "--entrypoint", _IN_IMAGE, image]


def serve_process(
    folder: Path,
    served: ServedModel,
    image: str | None,
    rest_port: int,
    grpc_port: int,
    say: Callable[[str], None],
    stop: threading.Event,
) -> None:
    """Runs TF Serving on the versions of a folder, and hands it the changes of `models.config`, until `stop` is set.

    Args:
        folder: The folder of the versions.
        served: What it starts with.
        image: The Docker image; None runs the binary on PATH.
        rest_port: A free port.
        grpc_port: A free port.
        say: Called with one line for the URLs once the server is ready, and for each change.
        stop: Ends the server.

    Raises:
        InputError: TF Serving stopped unexpectedly.
    """
    folder = folder.absolute()
    with tempfile.TemporaryDirectory(prefix="din-serve-") as aside:
        Path(aside).chmod(0o755)  # the container may run as another user
        config = Path(aside, MODELS_CONFIG)
        config.write_text(str(server_config(served, folder)))
        flags = _flags(config, rest_port, grpc_port)
        command = [*_container(image, [folder, Path(aside)], [rest_port, grpc_port]), *flags] if image else [BINARY, *flags]
        process = subprocess.Popen(command, start_new_session=True)  # Ctrl-C reaches only this process, which ends the child
        try:
            follower = Follower(folder, served, f"127.0.0.1:{grpc_port}", say)
            while not stop.is_set() and process.poll() is None and not follower.is_ready():
                stop.wait(_POLL_SECONDS / 5)
            if process.poll() is None and not stop.is_set():
                if not image:
                    say("TF Serving's own binary listens on all interfaces: restrict these ports with a firewall.")
                say(f"REST  http://127.0.0.1:{rest_port}/v1/models/{served.name}")
                say(f"gRPC  grpc://127.0.0.1:{grpc_port}/{served.name}")
            while not stop.wait(_POLL_SECONDS) and process.poll() is None:
                follower.follow()
            if not stop.is_set():
                raise InputError(
                    f"{image or BINARY} stopped unexpectedly, with status {process.returncode}: {LOG_FILE} in the workspace says why."
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
