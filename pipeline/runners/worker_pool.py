"""Starts the processes in which an engine such as Flink runs the Python code of the pipeline: `python -m pipeline.runners.worker_pool`.

An engine runs Java. For Python it asks a worker pool at a known address, which starts a process with this program's interpreter and its
packages. The pool listens on loopback only: beside each machine of an engine runs its own pool. Beam has a pool too, which listens on all
interfaces, starts the first `python` of the PATH, and confuses workers of two TaskManagers, because both number them from 1.
"""

import argparse
import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from pipeline.terminal import say


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Beam's service that starts workers.

    Args:
        logs: The folder of the logs: `worker-1.log`, `worker-2.log` and so on.
    """

    def __init__(self, logs: Path):
        self._logs = logs
        self._lock = threading.Lock()
        self._count = 0
        self._starter = _start_starter()

    def StartWorker(self, request: Any, context: Any) -> Any:
        """Starts a process that connects to the control endpoint of the request."""
        endpoint = request.control_endpoint.url
        with self._lock:
            self._count += 1
            log = self._logs / f"worker-{self._count}.log"
            try:
                process = self._start({"endpoint": endpoint, "id": request.worker_id, "log": str(log.absolute())})
            except OSError as error:
                return beam_fn_api_pb2.StartWorkerResponse(error=f"The worker pool cannot start a process: {error}.")
        say(f"worker {request.worker_id} of {endpoint}: process {process}, {log.name}")
        return beam_fn_api_pb2.StartWorkerResponse()

    def _start(self, order: dict[str, str]) -> int:
        if self._starter.poll() is not None:
            self._starter = _start_starter()
        stdin, stdout = self._starter.stdin, self._starter.stdout
        assert stdin is not None and stdout is not None
        print(json.dumps(order), file=stdin, flush=True)
        if not (answer := stdout.readline()):
            raise OSError("the process that forks workers has ended")
        return int(answer)

    def StopWorker(self, request: Any, context: Any) -> Any:
        """Does nothing: a worker ends by itself when its engine closes the connection, and its id alone does not say whose it is."""
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """Ends all workers."""
        with self._lock:
            self._starter.communicate()


def _start_starter() -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "pipeline.runners.worker_process"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def serve(pool: WorkerPool, port: int) -> tuple[grpc.Server, int]:
    """Serves a pool on loopback.

    Args:
        pool: The pool.
        port: The port, 0 for any that is free.

    Returns:
        The running server and its port.

    Raises:
        RuntimeError: The port is in use.
    """
    # Engines ping an idle connection; without these options gRPC closes it.
    options = [("grpc.so_reuseport", 0), ("grpc.http2.max_pings_without_data", 0), ("grpc.http2.max_ping_strikes", 0)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, port


def main() -> None:
    """Serves until SIGTERM or SIGINT, then ends the workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="the port on 127.0.0.1")
    parser.add_argument("--logs", type=Path, required=True, metavar="DIR", help="an existing folder for a log of each worker")
    args = parser.parse_args()
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    pool = WorkerPool(args.logs)
    server, port = serve(pool, args.port)
    say(f"listening on 127.0.0.1:{port}")
    ended.wait()
    server.stop(None)
    pool.close()


if __name__ == "__main__":
    main()
