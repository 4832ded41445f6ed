"""The parent of the workers: a killed worker, errors, interrupts, and clusters that do not fit. Nothing is left behind."""

import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import keras
import numpy as np
import pytest

from din_trainer.config import DINConfig
from din_trainer.exchange.mesh import WorkerLost
from din_trainer.training.workers.group import CLUSTER_KEY, _judge
from din_trainer.training.workers.job import CLUSTER, JobFolder
from din_trainer.training_errors import NoCluster, TrainingDiverged, WorkersFailed
from tests.din_trainer.training.workers.fitting import EPOCHS, fit_in, prepare

_ROOT = Path(__file__).parents[4]
pytestmark = pytest.mark.timeout(900)  # each training starts processes that import TensorFlow; they share the cores with other tests


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    prepare(folder)
    return folder


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "din_trainer.progress")
    return caplog


class KillOne(logging.Handler):
    """Kills the second worker at the end of the first epoch."""

    killed = 0

    def emit(self, record):
        if "epoch 1:" in record.getMessage() and not self.killed:
            self.killed = children(os.getpid())[-1]
            os.kill(self.killed, signal.SIGKILL)


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """Trained by two workers, which must find relative paths where the run was started: embedding files may have such paths."""
    checkpoints = tmp_path_factory.mktemp("undisturbed") / "checkpoints"
    with chdir(data):
        return fit_in(Path(), Path(os.path.relpath(checkpoints)), workers=2)


def test_two_processes_train_the_model_of_one(data, undisturbed, tmp_path):
    one = fit_in(data, tmp_path / "checkpoints")
    assert len(undisturbed.epochs) == EPOCHS
    for ours, theirs in zip(undisturbed.epochs, one.epochs, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    for ours, theirs in zip(undisturbed.model.weights, one.model.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4, err_msg=ours.path)


def test_a_killed_worker_costs_nothing_but_time(data, undisturbed, log, tmp_path):
    """All workers start again from the checkpoint, and the weights are the same, to the last bit."""
    killer = KillOne()
    logging.getLogger("din_trainer.progress").addHandler(killer)
    try:
        trained = fit_in(data, tmp_path / "here" / "checkpoints", workers=2)
    finally:
        logging.getLogger("din_trainer.progress").removeHandler(killer)
    assert "worker 1 was ended by signal 9 (SIGKILL); all workers start again from the last checkpoint" in log.messages
    for ours, theirs in zip(trained.model.weights, undisturbed.model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
    assert not children(os.getpid()) and not list((tmp_path / "here").iterdir())


def test_two_machines_train_over_tcp_what_one_trains(data, undisturbed, tmp_path, monkeypatch):
    """Here both machines are this one: each has a parent with one worker."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        workers = [f"127.0.0.1:{server.getsockname()[1]}" for server in (one, other)]
    clusters = [json.dumps({"cluster": {"worker": workers}, "task": {"index": index}}) for index in (0, 1)]
    monkeypatch.setenv(CLUSTER_KEY, "secret")
    monkeypatch.setenv(CLUSTER, clusters[1])
    command = [sys.executable, "-m", "tests.din_trainer.training.workers.fitting", str(data), str(tmp_path), str(EPOCHS)]
    second = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=_ROOT)
    monkeypatch.setenv(CLUSTER, clusters[0])
    first = fit_in(data, tmp_path / "first" / "checkpoints", workers=2)
    errors = second.communicate()[1]
    assert second.returncode == 0, errors
    for model in (first.model, keras.models.load_model(tmp_path / "trained.keras")):
        for ours, theirs in zip(model.weights, undisturbed.model.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


def test_what_a_worker_raises_ends_all_workers(data, tmp_path):
    """Regularisation needs the counts of the vocabularies, which this Transform graph does not have."""
    with pytest.raises(ValueError, match="Could not read vocabulary: item_counts, does not exist"):
        fit_in(data, tmp_path / "checkpoints", workers=2, regularization=0.1)
    assert not children(os.getpid())


@pytest.mark.parametrize(
    ("error", "raised", "sentence"),
    [
        (
            TrainingDiverged("Training diverged in epoch 2: the loss is nan."),
            TrainingDiverged,
            "Training diverged in epoch 2: the loss is nan.",
        ),
        (
            OSError(28, "No space left on device"),
            WorkersFailed,
            "Worker 0 of the training failed with OSError: [Errno 28] No space left on device",
        ),
    ],
)
def test_an_error_of_a_worker_reaches_the_user_in_one_sentence(error, raised, sentence, tmp_path):
    """Also if the other worker noticed the end of this one first."""
    folder = JobFolder(tmp_path)
    folder.write_error(0, error)
    folder.write_error(1, WorkerLost("worker 0 has ended"))
    with pytest.raises(raised) as caught:
        _judge(folder, {0: 1, 1: 1})
    assert str(caught.value) == sentence


def test_a_lost_worker_is_named_and_tried_again(tmp_path):
    folder = JobFolder(tmp_path)
    folder.write_error(0, WorkerLost("worker 1 has ended"))
    assert _judge(folder, {0: 1, 1: -9}) == "worker 1 was ended by signal 9 (SIGKILL)"
    folder.write_error(0, WorkerLost("worker 1 has ended"))  # of a cluster: the other machine's worker
    assert _judge(folder, {0: 1}) == "worker 1 has ended"
    assert _judge(folder, {0: 0, 1: 0}) is None


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_parent(by, data, tmp_path):
    command = [sys.executable, "-m", "tests.din_trainer.training.workers.fitting", str(data), str(tmp_path), "10000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=_ROOT)
    while "epoch 1:" not in process.stdout.readline():
        assert process.poll() is None
    workers = children(process.pid)
    assert len(workers) == 2
    waiting = [os.pidfd_open(worker) for worker in workers]
    process.send_signal(by)
    process.wait()
    for worker in waiting:
        assert select.select([worker], [], [], 60)[0]  # readable when the process has ended
        os.close(worker)


CLUSTER_OF_TWO = {"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"index": 1}}


@pytest.mark.parametrize(
    ("cluster", "key", "sentence"),
    [
        ("two machines", "secret", "TF_CONFIG is not a cluster of workers"),
        (json.dumps({**CLUSTER_OF_TWO, "task": {"index": 2}}), "secret", "TF_CONFIG is not a cluster of workers"),
        (
            json.dumps({"cluster": {"worker": ["127.0.0.1:1"]}, "task": {"index": 0}}),
            "secret",
            "names 1 workers, but training.workers is 2",
        ),
        (json.dumps(CLUSTER_OF_TWO), "", "DIN_WORKERS_KEY is not set"),
    ],
)
def test_a_cluster_that_does_not_fit_is_refused_in_one_sentence(cluster, key, sentence, data, tmp_path, monkeypatch):
    monkeypatch.setenv(CLUSTER, cluster)
    monkeypatch.setenv(CLUSTER_KEY, key)
    with pytest.raises(NoCluster, match=sentence):
        fit_in(data, tmp_path / "checkpoints", workers=2)


def test_each_worker_needs_a_row_of_every_batch():
    with pytest.raises(ValueError, match="each of 4 workers needs a row of every batch, but batch_size is 3"):
        DINConfig.model_validate({"training": {"workers": 4, "batch_size": 3}})
