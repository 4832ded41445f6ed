"""Which runs a cleaning keeps, whatever their age."""

import json
from datetime import timedelta

import pytest

from pipeline.housekeeping.kept_runs import kept_runs, named_paths, started_at
from pipeline.records.run_list import read_summaries
from tests.pipeline.housekeeping.workspaces import FIRST, Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def kept(workspace, keep=1, **limits):
    return kept_runs(workspace.folder, read_summaries(workspace.folder), keep, **limits)


def test_the_newest_of_each_name_stay(workspace):
    demo, other = [workspace.run() for _ in range(4)], [workspace.run("other") for _ in range(3)]
    assert kept(workspace) == {demo[3], other[2]}
    assert kept(workspace, 2) == {*demo[2:], *other[1:]}
    assert kept(workspace, 9) == {*demo, *other}


def test_runs_that_fail_do_not_push_out_those_with_a_model(workspace):
    """A schedule that fails every five minutes must not delete the models of the last month."""
    good = [workspace.run() for _ in range(3)]
    bad = [workspace.run(evaluated=False) for _ in range(50)]
    assert kept(workspace, 2) == {*good[1:], *bad[48:]}


def test_the_run_that_made_a_kept_version_stays(workspace):
    """The warm start of a served version needs its Keras model and its Transform graph."""
    old = [workspace.run(pushed=1000 + at) for at in range(3)]
    workspace.run("other", pushed=1001)
    newest = [workspace.run() for _ in range(3)]
    assert kept(workspace, name="demo") >= {*old, newest[-1]}
    (workspace.folder / "serving" / "demo" / "1001" / "pushed_by").unlink()  # as in a workspace of an older release
    assert old[1] in kept(workspace)


def test_the_version_s_own_record_counts_and_not_each_run_that_pushed_the_same_weights(workspace):
    """Two data sets that alternate push the same two versions again and again: only the last run of each is needed."""
    runs = [workspace.run(pushed=1000 + at % 2) for at in range(10)]
    assert kept(workspace) == {runs[8], runs[9]}


def test_only_runs_before_a_moment_go(workspace):
    runs = [workspace.run() for _ in range(5)]
    assert kept(workspace, before=FIRST + timedelta(days=2)) == {*runs[2:]}
    assert kept(workspace, 4, before=FIRST + timedelta(days=2)) == {*runs[1:]}


def test_only_runs_of_a_name_go(workspace):
    demo, other = [workspace.run() for _ in range(3)], [workspace.run("other") for _ in range(3)]
    assert kept(workspace, name="demo") == {demo[2], *other}


def test_a_run_that_the_configuration_of_a_newest_run_names_stays(workspace):
    """Such as the run that a warm start begins from."""
    runs = [workspace.run() for _ in range(4)]
    (workspace.folder / "runs" / runs[3] / "config.json").write_text(json.dumps({"training": {"warm_start": runs[0]}}))
    assert kept(workspace) == {runs[0], runs[3]}


def test_the_run_from_which_a_kept_one_began_stays(workspace):
    """A run that is repeated starts where it started before; what that one began from goes."""
    runs = [workspace.run()]
    for _ in range(3):
        runs.append(workspace.run(warm_start={"from": runs[-1]}))
    assert kept(workspace) == {runs[2], runs[3]}


def test_what_configurations_and_baselines_name(workspace):
    run = workspace.run(baseline={"version": None, "path": "/models/a"})
    config = {"data_schema": {"file": "/schemas/b.pbtxt"}, "model": {"kind": "din"}, "list": [{"embeddings": "/c.npz"}]}
    (workspace.folder / "runs" / run / "config.json").write_text(json.dumps(config))
    assert {str(path) for path in named_paths(workspace.folder, [run])} == {"/models/a", "/schemas/b.pbtxt", "/c.npz"}


def test_a_run_that_goes_on_stays(workspace):
    runs = [workspace.run() for _ in range(2)]
    summaries = read_summaries(workspace.folder)
    summaries[0].status, summaries[0].metrics = "started", None
    assert kept_runs(workspace.folder, summaries, 1) == set(runs)


def test_when_a_run_started(workspace):
    """A run that was killed at once has no summary, but a folder with a time in its name."""
    run = workspace.run()
    (summary,) = read_summaries(workspace.folder)
    assert started_at(summary, workspace.folder) == FIRST
    assert started_at(summary.model_copy(update={"started": ""}), workspace.folder) == FIRST
    (workspace.folder / "runs" / run).rename(workspace.folder / "runs" / "mine")
    summary = summary.model_copy(update={"started": "", "run_id": "mine"})
    assert started_at(summary, workspace.folder) > FIRST
