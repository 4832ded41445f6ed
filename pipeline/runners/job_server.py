"""Starts a Beam job server from its jar for the time of a run. It hands the jobs of the run to a Flink or Spark cluster."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from components.base.errors import InputError
from pipeline.configuration.beam_config import BeamConfig

_START_SECONDS = 120
_STOP_SECONDS = 20
_POLL_SECONDS = 0.2
_MASTER_OPTIONS = {"flink": "--flink-master", "spark": "--spark-master-url"}
_OPENED = ("sun.nio.ch", "java.nio", "java.util", "java.lang", "java.lang.invoke", "java.net")  # packages that Flink and Spark look into


def default_jar() -> Path:
    """Returns the jar that deploy/clusters builds for Flink."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "din-tfx" / "clusters" / "beam-flink-job-server-2.70.0.jar"


def jar_of(config: BeamConfig) -> Path:
    """Returns the jar of the job server that is started."""
    return Path(config.job_server_jar) if config.job_server_jar else default_jar()


def java() -> str | None:
    """Returns the program Java: that of JAVA_HOME, or the one on PATH; None if there is none."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")


def answers(address: str, seconds: float = 3.0) -> bool:
    """Returns whether something listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=seconds):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def running_job_server(config: BeamConfig) -> Iterator[str]:
    """Yields the address of the job server. If one has to be started, it is ended afterwards.

    That of deploy/clusters listens on loopback alone; another jar may not.

    It prints where this process prints.

    Raises:
        InputError: It cannot be started.
    """
    if not config.starts_job_server:
        yield config.job_server_address
        return
    with contextlib.ExitStack() as stack:
        artifacts = stack.enter_context(tempfile.TemporaryDirectory(prefix="din-job-server-", ignore_cleanup_errors=True))
        address = f"localhost:{_free_port()}"
        command = _command(config, address, artifacts)
        # A session of its own: Ctrl-C would reach the job server as well, and it could no longer cancel the job.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        stack.callback(_end, process)
        _wait(process, address)
        yield address


def _command(config: BeamConfig, address: str, artifacts: str) -> list[str]:
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
    places = ["--job-host=localhost", f"--job-port={address.rpartition(':')[2]}", "--artifact-port=0", "--expansion-port=-1"]
    master = f"{_MASTER_OPTIONS[config.engine]}={config.flink_rest or config.master}"
    return [
        java() or "java",
        *opened,
        f"-Djava.io.tmpdir={artifacts}",
        "-jar",
        str(jar_of(config)),
        master,
        *places,
        f"--artifacts-dir={artifacts}",
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def _wait(process: "subprocess.Popen[bytes]", address: str) -> None:
    advice = "look at what it says in the log, and check beam.job_server_jar and beam.master"
    end = time.monotonic() + _START_SECONDS
    while not answers(address):
        if process.poll() is not None:
            raise InputError(f"The job server ended while it started: {advice}.")
        if time.monotonic() > end:
            raise InputError(f"The job server did not start within {_START_SECONDS} s: {advice}.")
        time.sleep(_POLL_SECONDS)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
