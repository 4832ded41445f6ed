"""`din bench quality` on tiny data."""

import math

import pytest

from tests.e2e.conftest import TINY, din, run

DETERMINISTIC = "training.deterministic=true"
NEVER_PUSHED = "evaluation.thresholds.auc.at_least=0.999"


@pytest.fixture(scope="module")
def measured(two_runs):
    settings = [f"--set={setting}" for setting in [*TINY, DETERMINISTIC]]
    what = ["--config", "default", "--data", two_runs.data, "--models", "base,din,mba", "--seeds", 2]
    result = din("bench", "quality", *what, "--json", *settings)
    assert result.code == 0, result.err
    return result.summary


def test_each_model_is_measured_by_each_seed(measured, two_runs):
    assert (measured["seeds"], measured["data"], measured["config"]) == ([0, 1], str(two_runs.data), "default")
    assert measured["oracle"] == two_runs.first.summary["oracle"]
    rows = {row["name"]: row for row in measured["rows"]}
    assert list(rows) == ["base", "din", "mba"]
    for row in rows.values():
        for metric in ("auc", "gauc", "log_loss"):
            first, second = row[metric]["values"]
            assert math.isfinite(first) and math.isfinite(second) and first != second
        assert row["seconds"] > 0 and row["share_of_oracle"] < 1
    assert rows["base"]["rela_impr"] == 0
    assert rows["din"]["log_loss"]["values"] != rows["mba"]["log_loss"]["values"]  # the vocabularies' counts are there


def test_din_is_the_model_of_din_run(measured, two_runs):
    """The same figures of the same seed, though TFMA read them off the pushed signature."""
    summary = run(two_runs.workspace, two_runs.data, (DETERMINISTIC, NEVER_PUSHED)).summary
    din_row = measured["rows"][1]
    assert din_row["auc"]["values"][0] == pytest.approx(summary["metrics"]["auc"], abs=1e-3)  # TFMA's has 10,000 thresholds
    assert din_row["log_loss"]["values"][0] == pytest.approx(summary["metrics"]["log_loss"], abs=1e-6)
