"""How a run ends when something outside it goes wrong."""

import errno
import io
import json

import pytest

from components.base.errors import InputError
from din_trainer.training_errors import TrainingDiverged
from pipeline.configuration.load_config import load_config
from pipeline.console import Console
from pipeline.run.execution import Run
from pipeline.run.run_folder import run_folder
from pipeline.terminal import Progress
from tests.pipeline.run.served_versions import serve
from tests.sample_data import write_dataset


def silent():
    return Progress(Console(file=io.StringIO()))


@pytest.fixture
def run(tmp_path):
    data = write_dataset(tmp_path / "data")
    with run_folder(tmp_path / "workspace", "default") as folder:
        yield Run(load_config(), data, folder, silent())


def fail_with(monkeypatch, error):
    import pipeline.runners.local

    def run_locally(*args):
        raise RuntimeError("node failed") from error

    monkeypatch.setattr(pipeline.runners.local, "run_locally", run_locally)


def test_bad_embeddings_end_a_run_before_it_begins(tmp_path):
    settings = [f"features.behaviours.item.embeddings={tmp_path / 'nowhere.npz'}"]
    with run_folder(tmp_path / "workspace", "default") as folder:
        summary = Run(load_config(None, settings), write_dataset(tmp_path / "data"), folder, silent()).execute()
    assert (summary.status, summary.exit_code, summary.model_path) == ("failed", 2, None)
    assert str(summary.refused_because).startswith(f"{tmp_path / 'nowhere.npz'} is no .npz with `ids` and `vectors` (")
    assert not (tmp_path / "workspace" / "schemas").exists()  # the first thing after TensorFlow's start


def test_a_full_disk_is_a_sentence_and_exit_2(run, monkeypatch, tmp_path):
    fail_with(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "/serving/1"))
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.pushed_version) == ("failed", 2, None)
    assert summary.refused_because == "/serving/1: the disk is full: free some space, or name a place on another disk."
    assert json.loads((tmp_path / "workspace" / "latest.json").read_text())["refused_because"] == summary.refused_because


def test_a_training_that_diverges_is_a_sentence_and_exit_1(run, monkeypatch):
    sentence = "Training diverged in epoch 3: lower training.learning_rate."
    fail_with(monkeypatch, TrainingDiverged(sentence))
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.refused_because) == ("failed", 1, sentence)
    assert (summary.model_path, summary.pushed_version) == (None, None)


def test_a_serving_folder_that_cannot_be_read_is_a_sentence_and_exit_2(run, monkeypatch):
    fail_with(monkeypatch, InputError("/serving/models.config cannot be read: correct it."))
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.refused_because) == (
        "failed",
        2,
        "/serving/models.config cannot be read: correct it.",
    )


def test_a_bug_is_exit_1_with_its_traceback_in_the_log(run, monkeypatch, caplog):
    fail_with(monkeypatch, ValueError("inner"))
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.refused_because) == ("failed", 1, "RuntimeError: node failed")
    assert "ValueError: inner" in caplog.text


@pytest.mark.parametrize(("passed", "status", "code"), [([], "data_refused", 2), (["DataGate"], "failed", 1)])
def test_data_that_changes_under_a_run_is_named(run, monkeypatch, tmp_path, passed, status, code):
    """Case 13: a truncated file ended the run with a raw ValueError. After the data gate, nothing reads the data any more."""
    import pipeline.runners.local

    file = tmp_path / "data" / "train" / "part-00000.tfrecord.gz"

    def run_locally(dag, run_id, progress):
        for step in passed:
            progress.start(step)
            progress.finish()
        file.write_bytes(file.read_bytes()[:-4])
        raise ValueError("Not a valid TFRecord.")

    monkeypatch.setattr(pipeline.runners.local, "run_locally", run_locally)
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.pushed_version) == (status, code, None)
    changed = f"{file} has changed since this run checked it: leave the data as it is during a run, and run again."
    assert summary.refused_because == ("ValueError: Not a valid TFRecord." if passed else changed)


def test_the_stable_version_of_the_start_is_in_the_summary(run, monkeypatch, tmp_path):
    """Even if the run fails later."""
    serve(tmp_path / "workspace", 9)
    fail_with(monkeypatch, ValueError())
    assert run.execute().stable_at_start == 9
