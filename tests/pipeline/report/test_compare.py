"""The comparison of two runs."""

import pytest

from pipeline.report.compare import read_comparison, write_comparison
from tests.pipeline.report.html_pages import HTMLPage
from tests.pipeline.report.workspaces import SCRIPT, full_workspace


def test_the_page_shows_both_runs_and_what_differs(tmp_path):
    second = full_workspace(tmp_path)
    first = second.parent / "20261120-090000-demo"
    page = HTMLPage(write_comparison(first, second, tmp_path, tmp_path / "both.html"))
    assert f"{first.name}: Pushed" in page.text and f"{second.name}: Refused gauc on city={SCRIPT}" in page.text
    assert "training.epochs 3 5" in page.text and "judged on different data" in page.text
    assert "0.7840 0.7783 to 0.7897 0.7900 0.7843 to 0.7957 +0.0060" in page.text
    overall = page.data["slices"]["rows"][0]["values"]["auc"]
    assert overall[3] == pytest.approx(0.784) and overall[4] == pytest.approx(0.006) and overall[5:] == [None, None]
    assert {"calibration", "roc", "precision-recall", "training-Loss-on-validation-data"} <= set(page.data["figures"])


def test_runs_with_little_in_common_say_so(tmp_path):
    second = full_workspace(tmp_path)
    first = second.parent / "20261104-090000-demo"  # it failed, and left only a summary
    page = HTMLPage(write_comparison(first, second, tmp_path, tmp_path / "both.html"))
    for sentence in (
        "cannot be compared",
        "no evaluated slices in common",
        "Curves were not recorded",
        "Training curves were not recorded",
    ):
        assert sentence in page.text


def test_a_part_that_failed_in_one_run_is_named(tmp_path):
    second = full_workspace(tmp_path)
    first = second.parent / "20261120-090000-demo"
    (first / "details.json").write_text('{"training": null, "failed": {"training": "ValueError: damaged"}}')
    text = HTMLPage(write_comparison(first, second, tmp_path, tmp_path / "both.html")).text
    assert f"Training This section is not complete ({first.name}: ValueError: damaged)." in text


def test_the_same_as_json(tmp_path):
    second = full_workspace(tmp_path)
    both = read_comparison(second.parent / "20261120-090000-demo", second, tmp_path)
    assert both["configuration"] == [{"key": "training.epochs", "first": "3", "second": "5"}]
    assert next(row for row in both["metrics"] if row["metric"] == "auc")["difference"] == pytest.approx(0.006)
    assert [run["summary"]["run_id"] for run in both["runs"]] == ["20261120-090000-demo", second.name]
