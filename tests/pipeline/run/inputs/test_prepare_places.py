"""What a run knows of the served versions when it starts: which one is stable, and which one is the baseline."""

import json
import shutil

import pytest

from components.base.errors import InputError
from components.serving.store.versions import write_rolled_back
from pipeline.configuration.load_config import load_config
from pipeline.dag import create_pipeline
from pipeline.run.checks.check_impressions import DataFacts
from pipeline.run.inputs.prepare_places import prepare_places
from tests.pipeline.run.served_versions import label, serve


@pytest.fixture
def workspace(tmp_path):
    """Version 9 is stable, version 10 is the canary."""
    serve(tmp_path, 9)
    serve(tmp_path, 10)
    label(tmp_path, stable=9, canary=10)
    return tmp_path


def places(workspace, *settings):
    return prepare_places(load_config(None, settings), workspace / "data", DataFacts({}, {}, {}, {}, {}, {}), workspace)


def replaced_version(workspace, *settings):
    """The version that the push may replace, as the Pusher of the DAG gets it."""
    dag = create_pipeline(load_config(None, settings), places(workspace, *settings), "run")
    pusher = next(node for node in dag.components if node.id == "Pusher")
    return json.loads(json.loads(pusher.exec_properties["custom_config"])["serving"])["replaces"]


def test_nothing_served_is_no_stable_version(tmp_path):
    assert places(tmp_path).stable is None and places(tmp_path).baseline is None
    assert replaced_version(tmp_path) is None


@pytest.mark.parametrize("baseline", ["served", "none", "10", "a folder"])
def test_the_stable_version_is_recorded_whatever_the_baseline_is(workspace, baseline):
    if baseline == "a folder":
        baseline = serve(workspace / "elsewhere", 3)
    setting = f"evaluation.baseline={baseline}"
    assert places(workspace, setting).stable == 9
    assert replaced_version(workspace, setting) == 9


def test_without_labels_the_highest_version_is_stable(tmp_path):
    serve(tmp_path, 9)
    serve(tmp_path, 10)
    assert places(tmp_path).stable == 10


def test_a_rollback_that_was_killed_before_it_moved_the_labels(workspace):
    """The label still counts for the push, since the push compares labels; the baseline is the newest version that was not rolled back."""
    label(workspace, stable=10, canary=10)
    write_rolled_back(workspace / "serving" / "default", {10})
    found = places(workspace)
    assert found.stable == 10 and found.baseline.name == "9"


def test_a_rollback_of_a_version_without_labels(tmp_path):
    serve(tmp_path, 9)
    serve(tmp_path, 10)
    write_rolled_back(tmp_path / "serving" / "default", {10})
    assert places(tmp_path).stable == 9
    write_rolled_back(tmp_path / "serving" / "default", {9, 10})
    assert places(tmp_path).stable is None


@pytest.mark.parametrize("baseline", ["served", "none", "9"])
def test_a_stable_version_that_is_gone_ends_the_run_whatever_the_baseline_is(workspace, baseline):
    shutil.rmtree(workspace / "serving" / "default" / "10")
    with pytest.raises(InputError, match="names version 10, which is not there"):
        places(workspace, f"evaluation.baseline={baseline}")


def test_a_promotion_while_the_places_are_prepared_is_noticed_by_the_push(workspace, monkeypatch):
    """The stable version is read before the baseline, so that the push finds another stable version and refuses."""
    import pipeline.run.inputs.prepare_places as module

    link = module.link_baseline

    def promote_then_link(*arguments):
        label(workspace, stable=10, canary=10)
        return link(*arguments)

    monkeypatch.setattr(module, "link_baseline", promote_then_link)
    found = places(workspace)
    assert found.stable == 9 and found.baseline.name == "10"
