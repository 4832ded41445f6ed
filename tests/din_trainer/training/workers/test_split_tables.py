"""Training with tables that are split over two processes: the same as with whole tables, also when a worker is killed while it saves."""

import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from din_trainer.config import DINConfig
from din_trainer.layers.embedding_table import EmbeddingTable
from din_trainer.training.split_tables import OwnRows
from din_trainer.training_errors import WorkersFailed
from tests.din_trainer.training.workers import split_training
from tests.din_trainer.training.workers.recorded_training import write_shards

_ROOT = Path(__file__).parents[4]
pytestmark = pytest.mark.timeout(900)  # starts processes that import TensorFlow; they share the cores with other tests


def _run_workers(folder, kill_at):
    """Runs both workers; the second one kills itself at its n-th save if `kill_at` is not 0. Returns their exit codes."""
    command = [sys.executable, "-m", "tests.din_trainer.training.workers.split_training", str(folder)]
    processes = [
        subprocess.Popen([*command, str(worker), str(kill_at * worker)], cwd=_ROOT, stderr=subprocess.PIPE, text=True) for worker in (0, 1)
    ]
    errors = [process.communicate()[1] for process in processes]
    return [process.returncode for process in processes], errors


def test_a_killed_training_goes_on_and_gives_the_weights_of_a_training_with_whole_tables(tmp_path):
    """The second worker is killed in its save behind the first epoch, when its rows are written and the state of the first one is not."""
    files = write_shards(tmp_path, split_training.SHARDS)
    codes, errors = _run_workers(tmp_path, kill_at=3)
    assert codes == [1, -signal.SIGKILL] and "worker 1 has ended" in errors[0]
    assert (tmp_path / "checkpoints").exists()
    codes, errors = _run_workers(tmp_path, kill_at=0)
    assert codes == [0, 0], [error[-1500:] for error in errors]
    assert not (tmp_path / "checkpoints").exists()

    whole = split_training.train_in(None, files)
    found = keras.models.load_model(tmp_path / "whole.keras", compile=False)
    assert all(type(table) is EmbeddingTable for name in found.din_config.features.tables for table in found.tables_of(name))
    for weight, expected in zip(found.weights, whole.model.weights, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-6, err_msg=expected.path)

    first, second = (np.load(tmp_path / f"{worker}.npz") for worker in (0, 1))
    np.testing.assert_allclose(first["auc"], whole.epochs[-1]["val_auc"], rtol=1e-6)
    np.testing.assert_allclose(first["loss"], whole.epochs[-1]["loss"], rtol=1e-5)
    sizes = [weight.shape[0] for weight in whole.model.weights if "embeddings" in weight.path]
    assert sorted(sizes) == [9, 9, 12, 12, 30, 30]  # those of 9 rows are too small to be split
    assert sorted(first["rows"]) == [6, 6, 9, 9, 15, 15]
    assert (first["rows"] + second["rows"] == [size if size > 9 else 18 for size in sizes]).all()


class _First:
    """A worker that has nobody to wait for."""

    index, count = 0, 2

    def gather(self, x):
        return x


def test_rows_that_are_not_there_are_said(tmp_path):
    with pytest.raises(WorkersFailed, match=r"has no rows-0-1-0, this worker's rows of the split tables"):
        OwnRows([], [], tmp_path, _First()).read("1-0")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"workers": 1}, "split_rows splits tables over several workers, but workers is 1"),
        ({"clip_norm": 1.0}, "which clip_norm needs"),
        ({"warm_start": "served"}, "a warm start reads whole tables"),
    ],
)
def test_what_split_tables_cannot_do_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        DINConfig.model_validate({"training": {"workers": 2, "split_rows": 1000, **settings}})
