"""`din clean`, `din doctor` and `din rerun` on the workspace of real runs."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from components.base.tfrecord import read_records
from tests.e2e.conftest import Result, din, run

DETERMINISTIC = "training.deterministic=true"


class Housekeeping(NamedTuple):
    """What happened in one workspace, in this order."""

    workspace: Path
    data: Path
    first: Result
    second: Result  # with another seed
    cleaned: Result  # --keep 1
    third: Result  # the same as the second
    again: Result  # the second, rerun


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny_data):
    folder = tmp_path_factory.mktemp("housekeeping")
    data, workspace = folder / "data", folder / "workspace"
    shutil.copytree(tiny_data, data)
    first = run(workspace, data, (DETERMINISTIC, "evaluation.thresholds.auc.at_least=0.999"))  # pushes nothing
    second = run(workspace, data, (DETERMINISTIC, "training.seed=1"))
    cleaned = din("clean", "--workspace", workspace, "--keep", 1, "--json")
    third = run(workspace, data, (DETERMINISTIC, "training.seed=1"))
    return Housekeeping(workspace, data, first, second, cleaned, third, rerun(workspace, second.summary["run_id"]))


def rerun(workspace, run_id):
    return din("rerun", "--workspace", workspace, "--json", run_id)


def test_old_runs_are_cleaned_with_what_only_they_used(done):
    assert (done.first.code, done.second.code, done.cleaned.code) == (3, 0, 0)
    first = done.first.summary
    deleted = {removal["path"]: removal["bytes"] for removal in done.cleaned.summary["deleted"]}
    assert str(done.workspace / "runs" / first["run_id"]) in deleted
    assert str(Path(first["model_path"]).parent) in deleted and not Path(first["model_path"]).exists()
    assert sum(deleted.values()) == done.cleaned.summary["bytes"] > 1e6
    kinds = {Path(path).relative_to(done.workspace).parts[0] for path in deleted}
    assert kinds == {"runs", "artifacts"} and not any("ImportExampleGen" in path for path in deleted)
    listed = json.loads(din("runs", "--workspace", done.workspace, "--json").out)
    assert [summary["run_id"] for summary in listed] == [done.second.summary["run_id"], done.third.summary["run_id"]]


def test_the_run_after_it_takes_all_from_the_cache(done):
    assert (done.third.code, done.third.summary["status"]) == (0, "unchanged"), done.third.err
    ran = done.third.summary["seconds"]["components"].keys() - set(done.third.summary["cached"])
    assert not ran & {"ImportExampleGen", "StatisticsGen", "Transform", "SliceColumns", "Trainer", "Sameness"}
    assert done.third.summary["metrics"] == done.second.summary["metrics"]


def test_nothing_is_wrong_then(done):
    found = din("doctor", "--workspace", done.workspace, "--json")
    assert [finding for finding in found.summary["findings"] if finding["where"] != "environment"] == []


def test_a_rerun_has_the_same_metrics_to_the_last_digit(done):
    assert done.again.code == 0, done.again.out + done.again.err
    assert done.again.summary["same"] and done.again.summary["differs"] == []
    metrics = done.second.summary["metrics"]
    assert done.again.summary["metrics"] == {name: {"then": value, "now": value} for name, value in metrics.items()}
    assert not list(done.workspace.glob(".din-unfinished-*"))
    assert len(list((done.workspace / "runs").iterdir())) == 2
    assert len([path for path in (done.workspace / "serving" / "default").iterdir() if path.name.isdecimal()]) == 1


def test_a_rerun_with_changed_data_says_so_at_once(done):
    shard = done.data / "validation" / "part-00000.tfrecord.gz"
    before, changed = shard.read_bytes(), (done.data / "eval" / "part-00000.tfrecord.gz").read_bytes()
    assert len(list(read_records(shard))) > 0
    shard.write_bytes(changed)
    try:
        result = rerun(done.workspace, done.third.summary["run_id"])
    finally:
        shard.write_bytes(before)
    assert (result.code, result.summary["differs"]) == (1, ["the data has other content in validation."])
    assert result.summary["metrics"] == {}
