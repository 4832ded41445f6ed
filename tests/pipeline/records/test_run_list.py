"""Which runs a workspace has, and how each of them ended."""

import json
import os

import pytest

from components.base.errors import InputError
from components.base.file_lock import hold_lock
from components.serving.store.versions import write_pushed_by
from pipeline.cli.main import main
from pipeline.records.run_list import LOCK_FILE, read_summaries, record_killed
from pipeline.records.summary import Summary, read_summary

RUN = "20260101-000000-demo"


def run(workspace, run_id=RUN, **known):
    """Writes the summary of a run that is not alive."""
    summary = Summary(run_id=run_id, name="demo", **known)
    summary.write(workspace)
    (workspace / "runs" / run_id / LOCK_FILE).touch()
    return workspace / "runs" / run_id


def version(workspace, number, run_id):
    folder = workspace / "serving" / "demo" / str(number)
    folder.mkdir(parents=True)
    write_pushed_by(folder, run_id)


def endings(workspace):
    return [(summary.run_id, summary.status, summary.exit_code, summary.pushed_version) for summary in read_summaries(workspace)]


def test_a_run_that_holds_its_lock_goes_on_and_was_killed_when_the_lock_is_free(tmp_path):
    folder = run(tmp_path)
    with hold_lock(folder / LOCK_FILE):
        assert endings(tmp_path) == [(RUN, "started", None, None)]
        assert record_killed(tmp_path) == []
    assert endings(tmp_path) == [(RUN, "killed", 1, None)]
    assert read_summaries(tmp_path)[0].refused_because == "its process was killed before it pushed a model"


def test_a_run_that_ended_keeps_its_end(tmp_path):
    run(tmp_path, status="refused", exit_code=3)
    assert endings(tmp_path) == [(RUN, "refused", 3, None)]


def test_a_killed_run_has_what_it_pushed(tmp_path):
    run(tmp_path)
    version(tmp_path, 7, "another run")
    version(tmp_path, 8, RUN)
    assert endings(tmp_path) == [(RUN, "killed", 1, 8)]
    (summary,) = read_summaries(tmp_path)
    assert summary.refused_because == "its process was killed after it pushed version 8"
    assert summary.pushed_path == str(tmp_path / "serving" / "demo" / "8")


def test_it_is_recorded_once_and_outlives_the_version(tmp_path):
    folder = run(tmp_path)
    version(tmp_path, 8, RUN)
    later = Summary(run_id="20260102-000000-demo", name="demo", status="refused")
    later.write(tmp_path)
    assert [summary.run_id for summary in record_killed(tmp_path)] == [RUN]
    assert record_killed(tmp_path) == []
    (tmp_path / "serving" / "demo" / "8" / "pushed_by").unlink()
    assert endings(tmp_path)[0] == (RUN, "killed", 1, 8)
    assert json.loads((folder / "summary.json").read_text())["status"] == "killed"
    assert json.loads((tmp_path / "latest.json").read_text())["run_id"] == later.run_id  # the latest run stays the latest


@pytest.mark.parametrize("file", [LOCK_FILE, "log.txt"])
def test_a_run_without_a_summary_was_killed_too(tmp_path, file):
    """It was killed in its first moment, or by an older release, which wrote the summary at the end."""
    folder = tmp_path / "runs" / RUN
    folder.mkdir(parents=True)
    (folder / file).touch()
    (tmp_path / "runs" / "notes").mkdir()  # no run
    assert endings(tmp_path) == [(RUN, "killed", 1, None)]
    assert read_summaries(tmp_path)[0].name == "demo"
    assert [summary.run_id for summary in record_killed(tmp_path)] == [RUN]
    with hold_lock(folder / LOCK_FILE):
        (folder / "summary.json").unlink()
        assert endings(tmp_path) == [(RUN, "started", None, None)]


@pytest.mark.parametrize("content", [b"{", b"[]", b"5", b'"a"', b"null", b"\xff", b"[" * 100_000, b'{"run_id": 5, "name": "demo"}'])
def test_a_summary_that_cannot_be_read_is_a_failed_run(tmp_path, content):
    run(tmp_path)
    file = tmp_path / "runs" / RUN / "summary.json"
    file.write_bytes(content)
    (summary,) = read_summaries(tmp_path)
    assert (summary.run_id, summary.status, summary.exit_code) == (RUN, "failed", 1)
    assert str(summary.refused_because).startswith(f"{file} cannot be read (")


def test_no_workspace_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"nowhere is no folder: name a workspace"):
        read_summaries(tmp_path / "nowhere")


def test_din_runs_shows_them_with_what_they_pushed(tmp_path, capsys):
    run(tmp_path)
    version(tmp_path, 8, RUN)
    with hold_lock(run(tmp_path, "20260102-000000-demo") / LOCK_FILE):
        assert main(["runs", "--workspace", str(tmp_path)]) == 0
        shown = capsys.readouterr().out
        assert main(["runs", "--workspace", str(tmp_path), "--json"]) == 0
    first, second = (line for line in shown.splitlines() if line.startswith("2026") and ":" not in line)
    assert first.split()[-2:] == ["killed", "8"] and second.split()[-1] == "started"
    assert f"{RUN}: its process was killed after it pushed version 8" in shown
    assert [run["status"] for run in json.loads(capsys.readouterr().out)] == ["killed", "started"]


def test_a_fifo_in_place_of_a_summary_is_not_read_for_ever(tmp_path):
    file = tmp_path / "run" / "summary.json"
    file.parent.mkdir()
    os.mkfifo(file)
    assert read_summary(file).refused_because == f"{file} cannot be read (OSError)"
