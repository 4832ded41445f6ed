"""Starts the processes in which an engine such as Flink runs the Python code of the pipeline: `python -m pipeline.runners.worker_pool`.

An engine runs Java. For Python it asks a worker pool at a known address, which starts a process with this program's interpreter and its
packages. The pool listens on loopback only: beside each machine of an engine runs its own pool. Beam has a pool too, which listens on all
interfaces, starts the first `python` of the PATH, and confuses workers of two TaskManagers, because both number them from 1.

A job asks for twenty workers, and each would need eight CPU seconds to import TensorFlow. So one process imports it, and the workers are
forked from that process (multiprocessing's forkserver).
"""

import argparse
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from din_trainer.training.card_settings import NO_CARDS
from pipeline.terminal import say

_PATIENCE = 10  # seconds between SIGTERM and SIGKILL
_IMPORTED = [  # by the process that the workers are forked from
    "apache_beam.runners.worker.sdk_worker",
    "components.base.shard_tfxio",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
    "tensorflow_transform.beam",
]
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(_IMPORTED)


def _work(endpoint: str, worker_id: str, log: Path) -> None:
    """Beam's worker, in a process of its own; it ends when its engine closes the connection."""
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    with log.open("wb") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    SdkHarness(endpoint, worker_id=worker_id, state_cache_size=100).run()


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Beam's service that starts workers.

    Args:
        logs: The folder of the logs: `worker-1.log`, `worker-2.log` and so on.
    """

    def __init__(self, logs: Path):
        self._logs = logs
        self._lock = threading.Lock()
        self._count = 0
        self._running: list[BaseProcess] = []

    def StartWorker(self, request: Any, context: Any) -> Any:
        """Starts a process that connects to the control endpoint of the request."""
        endpoint = request.control_endpoint.url
        with self._lock:
            self._count += 1
            log = self._logs / f"worker-{self._count}.log"
            self._running = [worker for worker in self._running if worker.is_alive()]
            worker = _FORKS.Process(target=_work, args=(endpoint, request.worker_id, log))
            try:
                log.touch()  # in the worker, an error would reach nobody
                worker.start()
            except (OSError, EOFError) as error:
                return beam_fn_api_pb2.StartWorkerResponse(error=f"The worker pool cannot start a process: {error}.")
            self._running.append(worker)
        say(f"worker {request.worker_id} of {endpoint}: process {worker.pid}, {log.name}")
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:
        """Does nothing: a worker ends by itself when its engine closes the connection, and its id alone does not say whose it is."""
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """Ends all workers."""
        with self._lock:
            for worker in self._running:
                worker.terminate()
            for worker in self._running:
                worker.join(_PATIENCE)
                if worker.is_alive():
                    worker.kill()
                    worker.join()


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
    os.environ.update(NO_CARDS)  # before the first worker, which inherits it
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    pool = WorkerPool(args.logs)
    try:
        server, port = serve(pool, args.port)
    except RuntimeError:
        raise SystemExit(f"Port {args.port} of 127.0.0.1 is in use: name another one with --port.") from None
    say(f"listening on 127.0.0.1:{port}")
    ended.wait()
    server.stop(None)
    pool.close()


if __name__ == "__main__":
    main()
