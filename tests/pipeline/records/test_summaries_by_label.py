"""Each label of a run is shown as a run with one label is, on the terminal too."""

from pipeline.console import Console
from pipeline.records.summaries_by_label import by_label
from pipeline.records.summary import Summary
from pipeline.records.summary_tables import print_evaluation


def threshold(passed, **more):
    return {"metric": "auc", "slice": "overall", "rule": "at least 0.6", "passed": passed, **more}


def two_labels(**changes):
    """A run with the labels click and purchase, whose baseline predicts clicks alone."""
    known = {
        "metrics": {"auc": 0.75},
        "metrics_by_label": {"click": {"auc": 0.75}, "purchase": {"auc": 0.55}},
        "intervals": {"auc": [0.7, 0.8]},
        "intervals_by_label": {"click": {"auc": [0.7, 0.8]}, "purchase": {"auc": [0.5, 0.6]}},
        "oracle": {"auc": 0.8},
        "oracle_by_label": {"click": {"auc": 0.8}, "purchase": {"auc": 0.7}},
        "baseline": {
            "version": 7,
            "metrics": {"auc": 0.74},
            "changes": {"auc": {"value": 0.01, "low": 0.0, "high": 0.02}},
            "metrics_by_label": {"click": {"auc": 0.74}},
            "changes_by_label": {"click": {"auc": {"value": 0.01, "low": 0.0, "high": 0.02}}},
        },
        "thresholds": [threshold(True), threshold(False, label="purchase")],
        "examples": {"eval": 1000},
    }
    summary = Summary(run_id="1", name="demo", **{**known, **changes})
    summary.end("refused", "auc (purchase) is 0.5500, but at least 0.6 is asked for.")
    return summary


def test_each_label_has_its_own_figures():
    parts = by_label(two_labels())
    assert list(parts) == ["click", "purchase"]
    click, purchase = parts.values()
    assert (click.metrics, click.intervals, click.oracle) == ({"auc": 0.75}, {"auc": [0.7, 0.8]}, {"auc": 0.8})
    assert (purchase.metrics, purchase.intervals, purchase.oracle) == ({"auc": 0.55}, {"auc": [0.5, 0.6]}, {"auc": 0.7})
    assert click.baseline["metrics"] == {"auc": 0.74} and purchase.baseline is None
    assert click.thresholds == [threshold(True)] and purchase.thresholds == [threshold(False, label="purchase")]


def test_a_run_with_one_label_is_shown_as_it_is():
    summary = Summary(run_id="1", name="demo", metrics={"auc": 0.75})
    assert by_label(summary) == {"": summary}


def test_an_oracle_of_the_first_label_alone_is_not_that_of_others():
    click, purchase = by_label(two_labels(oracle_by_label=None)).values()
    assert (click.oracle, purchase.oracle) == ({"auc": 0.8}, None)


def test_the_terminal_names_the_labels(capsys):
    metric = {"value": 0.75, "low": 0.7, "high": 0.8}
    part = {"slices": [{"slice": "overall", "examples": 1000, "metrics": {"auc": metric}}]}
    evaluation = {**part, "labels": ["click", "purchase"], "further_labels": {"purchase": part}}
    print_evaluation(two_labels(), evaluation, Console(width=120))
    shown = capsys.readouterr().out
    assert "click, 1,000 impressions" in shown and "purchase, 1,000 impressions" in shown
    assert "0.7500 ± 0.0500" in shown and "0.5500 ± 0.0500" in shown
    assert "auc at least 0.6: ok" in shown and "auc (purchase) at least 0.6: FAILED" in shown
    assert "click: AUC lift: 83.3%" in shown and "purchase: AUC lift: 25.0%" in shown
    assert "click: slices" in shown and "purchase: slices" in shown
    assert "Refused, nothing was pushed: auc (purchase) is 0.5500" in shown
