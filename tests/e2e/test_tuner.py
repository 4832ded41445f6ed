"""A search before the training, in the workspace of `runs`: its best setting is what is trained, exported, compared and cached."""

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import run

pytestmark = pytest.mark.changes_runs

SEARCH = (
    "tuner.trials=3",
    "tuner.parallel=2",
    "tuner.epochs=1",
    'tuner.space={"training.learning_rate" = {min = 0.003, max = 0.03, scale = "log"}, "model.hidden" = [[16], [32, 16]]}',
)


@pytest.fixture(scope="module")
def searches(runs):
    """The same run twice; the second one has the first as its baseline."""
    return [run(runs.workspace, runs.data, SEARCH) for _ in range(2)]


def test_the_best_setting_by_validation_is_trained_and_exported(searches):
    summary = searches[0].summary
    assert (searches[0].code, summary["status"]) == (0, "pushed"), searches[0].err
    tuner = summary["tuner"]
    assert (tuner["trials"], tuner["failed"]) == (3, 0)
    assert tuner["validation_auc"] >= tuner["own_validation_auc"]
    exported = json.loads((Path(summary["pushed_path"]) / "assets.extra" / "din.json").read_text())["config"]
    values = {"training.learning_rate": exported["training"]["learning_rate"], "model.hidden": exported["model"]["hidden"]}
    assert values == tuner["values"]
    assert exported["training"]["epochs"] == 2  # the training has its own most epochs, not those of a trial
    assert summary["baseline"]["version"] is not None
    configured = json.loads((Path(summary["report_path"]).parent / "config.json").read_text())
    assert configured["training"]["learning_rate"] == 0.001  # `din rerun` searches again


def test_a_second_run_finds_the_search_and_the_training_in_the_cache(searches):
    first, second = (search.summary for search in searches)
    assert (searches[1].code, second["status"]) == (0, "unchanged"), searches[1].err
    assert {"Transform", "Tuner", "Trainer"} <= set(second["cached"])
    assert second["tuner"] == first["tuner"]
    assert second["baseline"]["version"] == first["pushed_version"]
    assert second["baseline"]["changes"]["auc"]["value"] == 0


def test_the_report_shows_the_trials_and_the_values_that_were_trained(searches):
    summary = searches[0].summary
    page = Path(summary["report_path"]).read_text()
    assert "Search for the best settings" in page and 'data-figure="tuning"' in page
    assert page.count('<span class="tag">chosen</span>') == page.count('<span class="tag">own setting</span>') == 1
    shown = " · ".join(map(str, summary["tuner"]["values"]["model.hidden"]))
    assert f"din, layers {shown}, dice" in page  # of the model card


def test_nothing_of_a_finished_search_is_left_to_continue(searches, runs):
    assert not list((runs.workspace / "checkpoints").glob("*/*"))
