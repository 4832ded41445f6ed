"""`din bench quality` on tiny data."""

import math
import shutil

import pytest

from tests.e2e.conftest import TINY, din, run

pytestmark = pytest.mark.changes_runs  # deletes what the runs have in common

DETERMINISTIC = "training.deterministic=true"
NEVER_PUSHED = "evaluation.thresholds.auc.at_least=0.999"


@pytest.fixture(scope="module")
def measured(runs):
    settings = [f"--set={setting}" for setting in [*TINY, DETERMINISTIC]]
    what = ["--config", "default", "--data", runs.data, "--models", "base,din,mba", "--seeds", 2]
    result = din("bench", "quality", *what, "--json", *settings)
    assert result.code == 0, result.err
    return result.summary


def test_each_model_is_measured_by_each_seed(measured, runs):
    assert (measured["seeds"], measured["data"], measured["config"]) == ([0, 1], str(runs.data), "default")
    assert measured["oracle"] == runs.first.summary["oracle"]
    rows = {row["name"]: row for row in measured["rows"]}
    assert list(rows) == ["base", "din", "mba"]
    for row in rows.values():
        for metric in ("auc", "gauc", "log_loss"):
            first, second = row[metric]["values"]
            assert math.isfinite(first) and math.isfinite(second) and first != second
        assert row["seconds"] > 0 and row["share_of_oracle"] < 1
    assert rows["base"]["rela_impr"] == 0
    assert rows["din"]["log_loss"]["values"] != rows["mba"]["log_loss"]["values"]  # the vocabularies' counts are there


@pytest.fixture(scope="module")
def without_transform(runs):
    """A run after somebody deleted Transform's output by hand to make room."""
    shutil.rmtree(runs.workspace / "artifacts" / "default" / "Transform")
    return run(runs.workspace, runs.data, (DETERMINISTIC, NEVER_PUSHED))


def test_deleted_artifacts_are_made_again(without_transform):
    assert without_transform.code == 3, without_transform.err
    assert "Transform" not in without_transform.summary["cached"] and "StatisticsGen" in without_transform.summary["cached"]


def test_din_is_the_model_of_din_run(measured, without_transform):
    """The same figures of the same seed, although TFMA computes them through the export's signature."""
    summary = without_transform.summary
    din_row = measured["rows"][1]
    assert din_row["auc"]["values"][0] == pytest.approx(summary["metrics"]["auc"], abs=1e-3)  # TFMA's has 10,000 thresholds
    assert din_row["log_loss"]["values"][0] == pytest.approx(summary["metrics"]["log_loss"], abs=1e-6)
