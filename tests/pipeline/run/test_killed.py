"""Runs that are killed with SIGKILL: what `din runs`, `latest.json` and the next run say about them (case 21)."""

import json
import os
import signal
import subprocess
import sys

import pytest

from pipeline.records.run_list import read_summaries
from tests.conftest import ROOT

BEFORE_THE_PUSH = ("folder", "summary", "check", "nodes")
AFTER_THE_PUSH = ("copied", "pushed", "sample")
ENDED = ("report", "end")  # the summary is written before the report


def start(workspace, point):
    command = [sys.executable, "-m", "tests.pipeline.run.killed_run", str(workspace), str(workspace / "data"), point]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(workspace)})


@pytest.mark.parametrize("point", [*BEFORE_THE_PUSH, *AFTER_THE_PUSH, *ENDED])
def test_a_run_that_is_killed_is_shown_with_what_it_pushed_and_the_next_run_says_so(tmp_path, point):
    done = start(tmp_path, point)
    assert done.returncode == (0 if point == "end" else -signal.SIGKILL), done.stderr
    (killed,) = read_summaries(tmp_path)
    assert killed.status == ("pushed" if point in ENDED else "killed")
    assert killed.pushed_version == (None if point in BEFORE_THE_PUSH else 7)
    if point != "folder":  # whoever reads this file after a kill must not take an older run's result for this one's
        latest = json.loads((tmp_path / "latest.json").read_text())
        assert (latest["run_id"], latest["status"]) == (killed.run_id, "pushed" if point in ENDED else "started")

    assert start(tmp_path, "nodes").returncode == -signal.SIGKILL  # the next run, which is killed too, after it read the workspace
    first, second = read_summaries(tmp_path)
    assert first == killed and second.status == "killed"
    recorded = json.loads((tmp_path / "runs" / first.run_id / "summary.json").read_text())
    assert (recorded["status"], recorded["pushed_version"]) == (killed.status, killed.pushed_version)
    begun = json.loads((tmp_path / "runs" / second.run_id / "summary.json").read_text())
    assert begun["status"] == "started"
