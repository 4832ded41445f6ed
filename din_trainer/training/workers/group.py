"""The parent of the workers: starts them, watches them, shows their progress, and starts them anew if one is lost."""

import json
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow_transform as tft

from din_trainer.config import DINConfig
from din_trainer.exchange.mesh import Address, WorkerLost
from din_trainer.training.child_process import start_child, stop_child
from din_trainer.training.loop import Trained
from din_trainer.training.progress_log import progress
from din_trainer.training.warm_start.warm_start import StartModel
from din_trainer.training.workers.job import CLUSTER, Job, JobFolder
from din_trainer.training_errors import NoCluster, NoStart, TrainingDiverged, WorkersFailed

CLUSTER_KEY = "DIN_WORKERS_KEY"  # the secret of their connections
_RESTARTS = 3
_LOOK = 0.2  # seconds between two looks at the workers
_GRACE = 10.0  # seconds that the other workers have to end by themselves after the first one
_ERRORS = {kind.__name__: kind for kind in (TrainingDiverged, NoStart, NoCluster, ValueError)}


def train_by_workers(
    config: DINConfig,
    transform_output: tft.TFTransformOutput,
    train_files: Sequence[str],
    validation_files: Sequence[str],
    log_dir: Path | None,
    checkpoint_dir: Path | None,
    start: StartModel | None,
) -> Trained:
    """As `fit`, by processes of their own: all workers on this machine, or this machine's worker of the cluster that TF_CONFIG describes.

    Raises:
        TrainingDiverged, NoStart, ValueError: As `fit`.
        NoCluster: TF_CONFIG does not fit, or the workers of the cluster do not train the same.
        WorkersFailed: A worker fails otherwise, or workers are lost again and again.
    """
    parent = checkpoint_dir.parent if checkpoint_dir else None
    if parent:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="workers-", dir=parent) as name:
        folder = JobFolder(Path(name))
        job = Job(
            config.model_dump_json(),
            str(Path(transform_output.transform_savedmodel_dir).parent),
            list(train_files),
            list(validation_files),
            str(log_dir) if log_dir else None,
            str(checkpoint_dir or Path(name) / "checkpoints"),
            tuple(map(str, start)) if start else None,
            addresses=[],
            key=secrets.token_hex(32),
            first=0,
        )
        for restarts in range(_RESTARTS + 1):
            reason = _run_once(folder, job, config.training.workers)
            if reason is None:
                break
            if restarts == _RESTARTS:
                raise WorkersFailed(f"The training was given up after {_RESTARTS} restarts: {reason}.")
            progress.warning("%s; all workers start again from the last checkpoint", reason)
        result = folder.read_result()
        return Trained(keras.models.load_model(folder.model_file), result["epochs"], result["warm_start"])


def _run_once(folder: JobFolder, job: Job, workers: int) -> str | None:
    """Runs all workers of this machine to their end. Returns why one was lost; None if they have trained the model."""
    with tempfile.TemporaryDirectory(prefix="din-") as sockets:  # a short path, as sockets need it
        if CLUSTER in os.environ:
            job, own = _in_cluster(job, workers)
        else:
            own = range(workers)
            job = job._replace(addresses=[str(Path(sockets) / str(worker)) for worker in own])
        folder.write_job(job)
        with _processes(folder, own, workers) as processes:
            while any(process.poll() is None for process in processes.values()):
                _show(folder)
                if any(process.returncode for process in processes.values()):
                    _wait(processes.values())
                    break
                time.sleep(_LOOK)
            codes = {worker: process.poll() for worker, process in processes.items()}
        _show(folder)
    return _judge(folder, codes)


def _in_cluster(job: Job, workers: int) -> tuple[Job, Sequence[int]]:
    """The job with the addresses and the key of a cluster, and this machine's worker.

    Raises:
        NoCluster: The variables of the environment do not fit.
    """
    try:
        cluster = json.loads(os.environ[CLUSTER])
        addresses: list[Address] = []
        for address in cluster["cluster"]["worker"]:
            host, port = address.rsplit(":", 1)
            addresses.append((host, int(port)))
        worker = int(cluster["task"]["index"])
        if not 0 <= worker < len(addresses):
            raise IndexError(worker)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise NoCluster(
            f'{CLUSTER} is not a cluster of workers: give {{"cluster": {{"worker": ["host:port", …]}}, "task": {{"index": 0}}}}.'
        ) from error
    if len(addresses) != workers:
        raise NoCluster(f"{CLUSTER} names {len(addresses)} workers, but training.workers is {workers}: set both to one number.")
    if not os.environ.get(CLUSTER_KEY):
        raise NoCluster(f"{CLUSTER_KEY} is not set: give all workers of the cluster the same secret in this variable.")
    return job._replace(addresses=addresses, key=os.environ[CLUSTER_KEY], first=worker), [worker]


@contextmanager
def _processes(folder: JobFolder, own: Sequence[int], workers: int) -> Iterator[dict[int, subprocess.Popen[bytes]]]:
    """Starts workers, and ends them. They do not get the signals of the terminal, and end by themselves if this process is killed."""
    processes: dict[int, subprocess.Popen[bytes]] = {}
    try:
        for worker in own:
            processes[worker] = start_child("din_trainer.training.workers.worker", str(folder.path), str(worker), of=len(own))
        yield processes
    finally:
        for process in processes.values():
            stop_child(process)


def _wait(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """Waits until the other workers have noticed that one has ended, so that they can say why."""
    end = time.monotonic() + _GRACE
    while any(process.poll() is None for process in processes) and time.monotonic() < end:
        time.sleep(_LOOK)


def _show(folder: JobFolder) -> None:
    for level, message in folder.new_progress():
        progress.log(level, "%s", message)


def _judge(folder: JobFolder, codes: dict[int, int | None]) -> str | None:
    """Why a worker was lost; None if none was.

    Args:
        folder: Has the errors of the workers.
        codes: The exit code of each worker, None if it had to be killed.

    Raises:
        Exception: What a worker raised, if another try would end in the same way.
    """
    errors = folder.take_errors()
    for worker, (kind, message) in sorted(errors.items()):
        if kind in _ERRORS:
            raise _ERRORS[kind](message)
        if kind != WorkerLost.__name__:
            raise WorkersFailed(f"Worker {worker} of the training failed with {kind}: {message.partition(chr(10))[0]}")
    for worker, code in codes.items():
        if code is not None and code < 0:
            return f"worker {worker} was ended by signal {-code} ({signal.Signals(-code).name})"
    for _, message in errors.values():
        return message
    ended = {worker: code for worker, code in codes.items() if code}
    return f"worker {next(iter(ended))} ended with exit code {next(iter(ended.values()))}" if ended else None
