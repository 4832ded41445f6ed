"""What is read of a run for its report."""

import json

import pytest

from components.base.errors import InputError
from pipeline.report.content import latest_evaluated, read_content
from tests.pipeline.report.workspaces import bare_workspace, full_workspace, summary


def test_all_files_of_a_run_become_plain_json(tmp_path):
    folder = full_workspace(tmp_path)
    content = read_content(folder, tmp_path)
    assert json.loads(json.dumps(content.as_json(), allow_nan=False)) == content.as_json()
    assert content.summary["run_id"] == folder.name and content.config["training"]["epochs"] == 5
    assert content.evaluation["slices"][-1]["metrics"]["auc"]["value"] is None  # it was NaN
    assert set(content.details) == {"attention", "importance", "training", "data", "card"}


def test_history_is_of_the_same_name_oldest_first(tmp_path):
    folder = full_workspace(tmp_path)
    summary(7, "pushed", 0.9, run_id="20261107-090000-other", name="other").write(tmp_path)
    history = read_content(folder, tmp_path).history
    assert [run["status"] for run in history] == ["pushed", "refused", "pushed", "failed", "pushed", "refused"]
    assert [run["run_id"] for run in history] == sorted(run["run_id"] for run in history)


def test_what_a_run_did_not_reach_is_missing(tmp_path):
    content = read_content(bare_workspace(tmp_path), tmp_path)
    assert content.evaluation is None and content.config is None and content.details == {}


def test_the_latest_evaluated_run_has_metrics(tmp_path):
    folder = full_workspace(tmp_path)
    summary(28, "failed", None).write(tmp_path)
    assert latest_evaluated(tmp_path) == folder.name


def test_runs_that_cannot_be_read_are_refused(tmp_path):
    folder = bare_workspace(tmp_path)
    with pytest.raises(InputError, match="no run that was evaluated"):
        latest_evaluated(tmp_path)
    with pytest.raises(InputError, match="nowhere is not a run in"):
        read_content(tmp_path / "runs" / "nowhere", tmp_path)
    (folder / "evaluation.json").write_text("{")
    with pytest.raises(InputError, match=r"evaluation\.json cannot be read"):
        read_content(folder, tmp_path)
