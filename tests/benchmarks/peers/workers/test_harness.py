"""The workers' protocol, with a fake worker."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.workers import harness

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


def test_a_worker_times_its_calls(tmp_path):
    script = tmp_path / "calls.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(harness.__file__).parent)!r})\n"
        "import time\nfrom harness import serve_calls\n"
        "clock = iter(range(100)); time.perf_counter = lambda: next(clock)\n"
        "serve_calls(lambda: ('1.2', {'tick': lambda: next(clock), 'chat': lambda: print('chatter')}))\n"
    )
    commands = "".join(json.dumps({"call": call, "repeat": 3}) + "\n" for call in ("tick", "chat"))
    process = subprocess.run([sys.executable, script], input=commands, capture_output=True, text=True)
    ready, ticks, chats = map(json.loads, process.stdout.splitlines())
    assert ready == {"ready": True, "version": "1.2"}
    assert ticks == {"seconds": [2, 2, 2]} and chats == {"seconds": [1, 1, 1]}
    assert process.stderr.splitlines() == ["chatter"] * 3
