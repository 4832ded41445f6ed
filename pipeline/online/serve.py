"""`din serve`: serves the pushed versions with TF Serving's binary or its official image; if there is neither, with the stand-in."""

import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from components.base.errors import InputError
from components.serving.store.models_config import MODELS_CONFIG, read_models_config
from pipeline.online.tf_serving_process import BINARY, IMAGE, local_image, serve_process

Say = Callable[[str], None]


class LogSettings(NamedTuple):
    """Where requests are logged, and the share of them that is."""

    folder: Path
    sample: float


def serve(folder: Path, rest_port: int, grpc_port: int, stand_in: bool, say: Say, log: LogSettings | None = None) -> None:
    """Serves a folder of versions until SIGINT or SIGTERM.

    Args:
        folder: The folder of the versions, with their `models.config`.
        rest_port: The port of REST; 0 takes a free one.
        grpc_port: The port of gRPC; 0 takes a free one.
        stand_in: Whether to use the stand-in even if TF Serving is there.
        say: Called with one line for each message to the user, such as the URLs.
        log: How the stand-in logs requests; None: it does not.

    Raises:
        InputError: The folder has nothing to serve, a port is taken, requests cannot be logged, or TF Serving stops unexpectedly.
    """
    served = read_models_config(folder)
    if served is None:
        raise InputError(f"{folder} has no {MODELS_CONFIG}: push a model with din run, or name a version with din rollback --to.")
    stop = threading.Event()
    with _signals(stop):
        has_binary = not stand_in and shutil.which(BINARY) is not None
        image = None if stand_in or has_binary else local_image()
        host = "" if has_binary else "127.0.0.1"
        if log and (has_binary or image):
            raise InputError(f"--log-requests is for the stand-in, but {image or BINARY} would serve: add --stand-in, or leave it out.")
        free_ports = _free_port("--rest-port", rest_port, host), _free_port("--grpc-port", grpc_port, host)
        if has_binary or image:
            serve_process(folder, served, image, *free_ports, say, stop)
        else:
            _serve_stand_in(folder, rest_port, grpc_port, say, stop, log)


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _serve_stand_in(folder: Path, rest_port: int, grpc_port: int, say: Say, stop: threading.Event, settings: LogSettings | None) -> None:
    from pipeline.online.stand_in.request_log import RequestLog
    from pipeline.online.stand_in.stand_in import StandIn

    log = RequestLog(settings.folder, settings.sample, say) if settings else None

    say("This is a development stand-in, not TF Serving: it gives the same answers, but not at the same speed. With")
    say(f"{BINARY} on the PATH, or the image {IMAGE} in Docker, din serve starts TF Serving.")
    with StandIn(folder, rest_port, grpc_port, say, log=log) as server:
        say(f"REST  {server.rest_url}")
        say(f"gRPC  {server.grpc_url}")
        if settings:
            say(f"Requests are logged to {settings.folder}.")
        stop.wait()


def _free_port(option: str, port: int, host: str) -> int:
    """Returns the port, or a free one for 0.

    Raises:
        InputError: The port is taken.
    """
    try:
        with socket.create_server((host, port)) as listener:
            return listener.getsockname()[1]
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise InputError(f"port {port} is not available ({reason}): choose another with {option}, or 0 for any free one.") from error
