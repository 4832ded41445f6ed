"""The comparison of two runs."""

import pytest

from pipeline.report.compare import read_comparison, write_comparison
from tests.pipeline.report.html_pages import HTMLPage
from tests.pipeline.report.workspaces import SCRIPT, full_workspace, two_label_workspace


def test_the_page_shows_both_runs_and_what_differs(tmp_path):
    second = full_workspace(tmp_path)
    first = second.parent / "20261120-090000-demo"
    page = HTMLPage(write_comparison(first, second, tmp_path, tmp_path / "both.html"))
    assert f"{first.name}: Pushed" in page.text and f"{second.name}: Refused gauc on city={SCRIPT}" in page.text
    assert "training.epochs 3 5" in page.text and "judged on different data" in page.text
    assert "0.7840 0.7783 to 0.7897 0.7900 0.7843 to 0.7957 +0.0060" in page.text
    overall = page.data["slices"]["rows"][0]["values"][""]["auc"]
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


def test_runs_with_several_labels_are_compared_label_by_label(tmp_path):
    second = two_label_workspace(tmp_path)
    page = HTMLPage(write_comparison(second, second, tmp_path, tmp_path / "both.html"))
    assert "click Metric" in page.text and "purchase Metric" in page.text
    assert "AUC 0.6500 0.6443 to 0.6557 0.6500 0.6443 to 0.6557 +0.0000" in page.text.partition("purchase Metric")[2]
    assert page.data["slices"]["rows"][0]["values"]["purchase"]["auc"][0] == pytest.approx(0.65)
    assert {"calibration-click", "calibration-purchase"} <= set(page.data["figures"])
    both = read_comparison(second, second, tmp_path)
    rows = {label: next(row for row in found if row["metric"] == "auc") for label, found in both["metrics_by_label"].items()}
    assert rows["click"]["second"]["value"] == 0.79 and rows["purchase"]["second"]["value"] == 0.65
    assert both["metrics"] == both["metrics_by_label"]["click"]


def test_a_label_that_one_run_lacks_has_no_difference(tmp_path):
    """The first labels of both runs are compared whatever their names: both are in the column `label`."""
    second = two_label_workspace(tmp_path)
    first = second.parent / "20261120-090000-demo"  # one label
    both = read_comparison(first, second, tmp_path)
    (click, purchase) = (next(row for row in found if row["metric"] == "auc") for found in both["metrics_by_label"].values())
    assert list(both["metrics_by_label"]) == ["click", "purchase"]
    assert click["difference"] == pytest.approx(0.006)
    assert (purchase["first"]["value"], purchase["second"]["value"], purchase["difference"]) == (None, 0.65, None)
    page = HTMLPage(write_comparison(first, second, tmp_path, tmp_path / "both.html"))
    assert "AUC – 0.6500 0.6443 to 0.6557 –" in page.text.partition("purchase Metric")[2]
    assert list(page.data["slices"]["rows"][0]["values"]) == ["click"]
