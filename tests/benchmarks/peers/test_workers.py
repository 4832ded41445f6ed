"""What `din bench train` stands on: the workers' protocol, by a fake one, and the peers' environment, by a fake installer."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import peer_environment as environment
from benchmarks.peers.workers import harness
from components.base.errors import InputError

FAKE = f"""
import sys
sys.path.insert(0, {str(Path(harness.__file__).parent)!r})
from harness import Model, serve

def build(data):
    print("chatter")
    def train(batch, rows):
        assert rows % batch == 0
        print("train", batch, rows)
        return 0.25
    return Model("1.2", train, lambda batch, rows: data.candidate_item_id[rows] / data.n_items)

serve(build)
"""


@pytest.fixture
def worker(tmp_path):
    """Sends commands to a fake worker that scores by item id; returns its answers and its standard error."""
    item = np.array([5, 5, 1, 2, 3, 4])
    np.savez(
        tmp_path / "data.npz", user_id=item, candidate_item_id=item, historical_item_ids=item[:, None], history_length=item,
        label=np.array([0, 1, 0, 1, 0, 1]), n_users=5, n_items=5, n_train=2,
    )  # fmt: skip
    (tmp_path / "fake.py").write_text(FAKE)

    def ask(*commands):
        process = subprocess.run(
            [sys.executable, tmp_path / "fake.py", tmp_path / "data.npz"],
            input="".join(json.dumps(command) + "\n" for command in commands), capture_output=True, text=True,
        )  # fmt: skip
        return [json.loads(line) for line in process.stdout.splitlines()], process.stderr

    return ask


def test_a_worker_answers_each_command_by_a_line(worker):
    train, infer = {"do": "train", "batch": 2, "rows": 5}, {"do": "infer", "batch": 4, "rows": 8}
    (ready, trained, _, inferred, auc), errors = worker(train, train, infer, {"do": "auc"}, {"do": "stop"}, {"do": "auc"})
    assert ready == {"ready": True, "version": "1.2"}
    assert trained["loss"] == 0.25
    assert trained["rows_per_s"] > 0 and inferred.keys() == {"rows_per_s"}
    assert auc == {"auc": 0.75}  # of the held-out rows alone
    # What libraries print goes elsewhere; a batch size is warmed up once.
    assert errors.splitlines() == ["chatter", f"train 2 {2 * harness.WARM_UP_BATCHES}", "train 2 4", "train 2 4"]


def test_a_failure_shows_its_traceback_and_ends_the_answers(worker):
    answers, errors = worker({"do": "juggle"}, {"do": "auc"})
    assert len(answers) == 1 and "KeyError: 'juggle'" in errors


def test_equal_scores_count_half():
    assert harness.area_under_curve(np.array([0, 1, 0, 1]), np.array([0.5, 0.5, 0.1, 0.9])) == 0.875


def put_python(folder):
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()


def test_a_damaged_environment_names_the_folder_to_delete(tmp_path):
    folder = tmp_path / "peers-1"
    environment.prepare(folder, put_python).unlink()
    with pytest.raises(InputError, match=rf"^{folder}/bin/python is not there although it was installed: delete {folder}, and"):
        environment.prepare(folder, put_python)


def test_the_environment_is_installed_once_and_again_if_that_was_cut_short(tmp_path):
    folder = tmp_path / "cache" / "peers-1"
    calls = []

    def install(folder, fails=False):
        calls.append(folder.exists())
        put_python(folder)
        if fails:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        environment.prepare(folder, lambda folder: install(folder, fails=True))
    for _ in range(2):
        assert environment.prepare(folder, install) == folder / "bin" / "python"
    assert calls == [False, False]  # the half-made one was cleared away


def test_two_at_once_install_it_once(tmp_path):
    calls, both_run = [], threading.Event()

    def install(folder):
        calls.append(folder)
        both_run.wait()
        put_python(folder)

    threads = [threading.Thread(target=environment.prepare, args=(tmp_path / "peers-1", install)) for _ in range(2)]
    for thread in threads:
        thread.start()
    both_run.set()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_other_requirements_are_another_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = environment.cache_folder()
    monkeypatch.setattr(environment, "REQUIREMENTS", ("torch==1",))
    assert before.parent == environment.cache_folder().parent == tmp_path / "din-tfx" and before != environment.cache_folder()


def test_a_failed_installation_names_its_step_and_reason(monkeypatch, tmp_path):
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho no route to host >&2\n[ $1 = venv ]\n")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(InputError, match=r"(?s)uv pip install .* torch-rechub==.* failed:\nno route to host"):
        environment.prepare(tmp_path / "peers-1")
