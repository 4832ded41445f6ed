"""The worker pool starts real processes, which call back over gRPC, and leaves none."""

import os
import queue
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from pipeline.runners.worker_pool import WorkerPool, serve

SECONDS = 120  # for a process that imports Beam on a busy machine


class Engine(beam_fn_api_pb2_grpc.BeamFnControlServicer):
    """Stands for a TaskManager: workers connect to its control endpoint, and it keeps the connections open until `disconnect`."""

    def __init__(self):
        self.connected, self._ended = queue.Queue(), queue.Queue()

    def Control(self, responses, context):
        self.connected.put((dict(context.invocation_metadata())["worker_id"], context.peer()))
        yield from iter(self._ended.get, None)

    def start(self):
        self.server = grpc.server(ThreadPoolExecutor(8))
        beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        return self

    def disconnect(self):
        """Closes the connection of one worker."""
        self._ended.put(None)

    def stop(self):
        for _ in range(4):  # more than there are workers: a thread that waits would keep the tests from ending
            self.disconnect()
        self.server.stop(None).wait()

    def request(self, worker_id):
        return beam_fn_api_pb2.StartWorkerRequest(worker_id=worker_id, control_endpoint={"url": f"localhost:{self.port}"})


@pytest.fixture
def engines():
    started = [Engine().start() for _ in range(2)]
    yield started
    for engine in started:
        engine.stop()


@pytest.fixture
def pool(tmp_path):
    made = WorkerPool(tmp_path)
    server, port = serve(made, 0)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        made.stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
        yield made
    server.stop(None)
    made.close()


def test_two_task_managers_that_use_the_same_id_get_a_worker_each(pool, engines, tmp_path):
    for engine in engines:
        assert not pool.stub.StartWorker(engine.request("1-1")).error
    assert [engine.connected.get(timeout=SECONDS)[0] for engine in engines] == ["1-1", "1-1"]
    first, second = pool._running
    assert sorted(log.name for log in tmp_path.iterdir()) == ["worker-1.log", "worker-2.log"]

    pool.stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="1-1"))
    engines[0].disconnect()
    first.join(SECONDS)
    assert first.exitcode == 0  # it ends by itself when its engine closes the connection,
    assert second.is_alive()  # and the worker of the other engine with this id goes on

    pool.close()
    assert second.exitcode == -signal.SIGTERM


def test_a_worker_that_cannot_be_started_is_an_error_of_the_request(pool, engines, monkeypatch):
    def refuse(process):
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.ForkServerProcess.start", refuse)
    assert "Resource temporarily unavailable" in pool.stub.StartWorker(engines[0].request("1-1")).error


def test_a_worker_runs_this_interpreter_and_has_the_libraries_before_a_job_asks_for_them(pool, engines):
    pool.stub.StartWorker(engines[0].request("1-1"))
    engines[0].connected.get(timeout=SECONDS)
    worker = pool._running[0].pid
    assert Path(f"/proc/{worker}/exe").readlink() == Path("/proc/self/exe").readlink()
    assert "libtensorflow" in Path(f"/proc/{worker}/maps").read_text()


def test_a_log_that_cannot_be_written_is_an_error_of_the_request(pool, engines, tmp_path):
    pool._logs = tmp_path / "gone"
    assert "gone/worker-1.log" in pool.stub.StartWorker(engines[0].request("1-1")).error


def test_a_pool_whose_fork_server_was_killed_starts_another_one(pool, engines):
    pool.stub.StartWorker(engines[0].request("1-1"))
    engines[0].connected.get(timeout=SECONDS)
    server = forkserver._forkserver._forkserver_pid
    os.kill(server, signal.SIGKILL)
    os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)
    assert not pool.stub.StartWorker(engines[0].request("2-1")).error
    assert engines[0].connected.get(timeout=SECONDS)[0] == "2-1"


def test_it_listens_on_loopback_only_and_a_port_in_use_is_an_error(tmp_path):
    server, port = serve(WorkerPool(tmp_path), 0)
    with open("/proc/net/tcp6") as file:
        rows = [line.split() for line in file]
    listening = {row[1].split(":")[0] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    assert listening == {"0000000000000000FFFF00000100007F"}  # ::ffff:127.0.0.1
    with pytest.raises(RuntimeError, match=str(port)):
        serve(WorkerPool(tmp_path), port)
    server.stop(None)


def test_the_program_hides_cards_from_its_workers_and_ends_them(engines, tmp_path):
    command = [sys.executable, "-m", "pipeline.runners.worker_pool", "--port", "0", "--logs", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        port = program.stdout.readline().strip().rpartition(":")[2]
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel).StartWorker(engines[0].request("1-1"))
        worker = int(program.stdout.readline().rpartition("process ")[2].partition(",")[0])
        engines[0].connected.get(timeout=SECONDS)
        assert b"CUDA_VISIBLE_DEVICES=-1" in Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
        program.terminate()
        assert program.wait(SECONDS) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
