"""The summary that the nodes' outputs give."""

import json
from pathlib import Path

import pytest

from pipeline.places import Places
from pipeline.records.summary import Summary
from pipeline.run.ending import outcome
from pipeline.run.ending.outcome import read_outcome, read_spans

OVERALL = {"value": 0.75, "low": 0.7, "high": 0.8, "baseline": 0.74, "change": {"value": 0.01, "low": 0.0, "high": 0.02}}
VERDICT = {
    "blessed": True,
    "refused_because": None,
    "thresholds": [{"metric": "auc"}],
    "sameness": {"examples": 3},
    "loading": {"how": "loader"},
    "confidence": 0.95,
    "replicates": 100,
    "labels": ["label"],
    "slices": [{"slice": "overall", "metrics": {"auc": OVERALL}}],
    "curves": {},
    "further_labels": {},
}
PUSHED = {"pushed": 1, "pushed_version": "17", "pushed_destination": "/serving/17", "unchanged": 0}


@pytest.fixture
def summary_of(tmp_path, monkeypatch):
    """A function that reads the outcome of a run whose nodes put out these folders, this verdict and these properties of the push."""

    def read(outputs=("Trainer", "Evaluator", "Verdict"), verdict=VERDICT, pushed=PUSHED, baseline=None):
        class Outputs:
            def __init__(self, metadata, run_id):
                assert (metadata, run_id) == (Path("/m.sqlite"), "1")

            def uri(self, node, key):
                return tmp_path / node / key if node in outputs else None

            def property(self, node, key, name):
                return pushed.get(name)

        (tmp_path / "Verdict" / "blessing").mkdir(parents=True, exist_ok=True)
        (tmp_path / "Verdict" / "blessing" / "verdict.json").write_text(json.dumps(verdict))
        monkeypatch.setattr(outcome, "RunOutputs", Outputs)
        summary = Summary(run_id="1", name="demo")
        read_outcome(summary, Places(*map(Path, "dsa"), Path("/m.sqlite"), Path("c"), Path("s"), baseline), tmp_path / "run")
        return summary

    return read


def test_a_pushed_run(summary_of, tmp_path):
    summary = summary_of()
    assert (summary.status, summary.exit_code, summary.refused_because, summary.blessed) == ("pushed", 0, None, True)
    assert (summary.pushed_version, summary.pushed_path) == (17, "/serving/17")
    assert summary.model_path == str(tmp_path / "Trainer" / "model" / "Format-Serving")
    assert summary.tfma_path == str(tmp_path / "Evaluator" / "evaluation")
    assert summary.metrics == {"auc": 0.75} and summary.intervals == {"auc": [0.7, 0.8]} and summary.baseline is None
    assert (summary.thresholds, summary.sameness, summary.loading) == ([{"metric": "auc"}], {"examples": 3}, {"how": "loader"})
    written = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert written == {name: VERDICT[name] for name in ("confidence", "replicates", "labels", "slices", "curves", "further_labels")}
    assert (summary.metrics_by_label, summary.intervals_by_label) == (None, None)


def test_weights_that_were_served_before(summary_of):
    summary = summary_of(pushed=PUSHED | {"unchanged": 1})
    assert (summary.status, summary.exit_code, summary.pushed_version) == ("unchanged", 0, 17)


@pytest.mark.parametrize(("unchanged", "status"), [(0, "pushed"), (1, "unchanged")])
def test_a_push_that_the_store_does_not_have_ends_with_status_1(summary_of, unchanged, status):
    why = "s3://b/serving/demo does not have what serving/demo serves: din publish --name demo repeats it."
    summary = summary_of(pushed=PUSHED | {"unchanged": unchanged, "not_published": why})
    assert (summary.status, summary.exit_code, summary.pushed_version) == (status, 1, 17)
    assert summary.refused_because is None and summary.notes == [why]


def test_a_refusal_by_the_verdict(summary_of):
    summary = summary_of(verdict=VERDICT | {"blessed": False, "refused_because": "auc is 0.5."}, pushed={"pushed": 0})
    assert (summary.status, summary.exit_code, summary.refused_because) == ("refused", 3, "auc is 0.5.")
    assert summary.pushed_version is None and summary.metrics == {"auc": 0.75}


def test_a_refusal_by_the_push(summary_of):
    summary = summary_of(pushed={"pushed": 0, "refused_because": "another version is stable."})
    assert (summary.status, summary.exit_code, summary.refused_because) == ("refused", 3, "another version is stable.")
    assert summary.blessed is True and summary.pushed_version is None


def test_a_run_that_stopped_before_the_push_is_not_ended_here(summary_of):
    """The exception that stopped it says how it ended."""
    assert summary_of(pushed={}).status == "started"


def test_what_was_not_reached_is_null(summary_of, tmp_path):
    summary = summary_of(outputs=("Trainer",))
    assert summary.model_path is not None
    assert (summary.tfma_path, summary.blessed, summary.metrics, summary.thresholds) == (None, None, None, None)
    assert summary_of(outputs=()).model_path is None
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "version"), [("9", 9), ("elsewhere-0123456789ab", None)])
def test_the_baseline_that_was_compared_with(summary_of, tmp_path, name, version):
    (tmp_path / name).mkdir()
    (tmp_path / name / "Format-Serving").symlink_to(tmp_path / "served")
    assert summary_of(baseline=tmp_path / name).baseline == {
        "version": version,
        "path": str(tmp_path / "served"),
        "metrics": {"auc": 0.74},
        "changes": {"auc": OVERALL["change"]},
    }


def two_labels(purchase):
    """The verdict on a model with the labels click and purchase."""
    further = {"purchase": {"slices": [{"slice": "overall", "metrics": {"auc": purchase}}], "curves": {}}}
    return VERDICT | {"labels": ["click", "purchase"], "further_labels": further}


def test_all_labels_have_their_figures_and_the_plain_fields_are_the_first_one_s(summary_of, tmp_path):
    purchase = {**OVERALL, "value": 0.65, "baseline": 0.6}
    (tmp_path / "9").mkdir()
    summary = summary_of(verdict=two_labels(purchase), baseline=tmp_path / "9")
    assert summary.metrics == {"auc": 0.75} and summary.intervals == {"auc": [0.7, 0.8]}
    assert summary.metrics_by_label == {"click": {"auc": 0.75}, "purchase": {"auc": 0.65}}
    assert summary.intervals_by_label == {"click": {"auc": [0.7, 0.8]}, "purchase": {"auc": [0.7, 0.8]}}
    assert summary.baseline["metrics"] == {"auc": 0.74}
    assert summary.baseline["metrics_by_label"] == {"click": {"auc": 0.74}, "purchase": {"auc": 0.6}}
    assert summary.baseline["changes_by_label"]["purchase"] == {"auc": OVERALL["change"]} and summary.notes == []


def test_a_label_that_the_baseline_does_not_predict_is_said(summary_of, tmp_path):
    (tmp_path / "9").mkdir()
    summary = summary_of(verdict=two_labels({**OVERALL, "baseline": None, "change": None}), baseline=tmp_path / "9")
    assert summary.metrics_by_label["purchase"] == {"auc": 0.75}
    assert summary.baseline["metrics_by_label"] == {"click": {"auc": 0.74}}
    assert summary.notes == ["The baseline does not predict purchase: there the model is compared with no other."]


def read_days(tmp_path, examples, dealt, score=None):
    """Returns the summary of a run of days whose nodes put out a window and perhaps the metrics of the served model."""

    class Outputs:
        def uri(self, node, key):
            return {("Window", "examples"): tmp_path, ("NewDataScore", "score"): score and tmp_path}.get((node, key))

        def property(self, node, key, name):
            return dealt.get(name)

    (tmp_path / "score.json").write_text(json.dumps(score))
    summary = Summary(run_id="1", name="demo", spans={"eval": "x"}, span_examples=examples, stable_at_start=17)
    read_spans(summary, Outputs())
    return summary


def test_the_impressions_of_days_are_counted_by_split(tmp_path):
    """Three days of 10, 20 and 30 impressions, of which 4 of the second are validation."""
    days = {"2026-11-22": 10, "2026-11-23": 20, "2026-11-24": 30}
    summary = read_days(tmp_path, days, {"dealt_train": 16, "dealt_validation": 4})
    assert summary.examples == {"train": 26, "validation": 4, "eval": 30} and summary.served_on_new_data is None


def test_a_day_that_is_split_by_time_is_counted_by_split(tmp_path):
    summary = read_days(tmp_path, {"7": 10}, {"dealt_train": 8, "dealt_validation": 1, "dealt_eval": 1})
    assert summary.examples == {"train": 8, "validation": 1, "eval": 1}


def test_the_served_model_s_metrics_are_read_with_its_version(tmp_path):
    summary = read_days(tmp_path, {"7": 10}, {}, {"label": {"auc": 0.7, "gauc": None}})
    assert summary.served_on_new_data == {"version": 17, "auc": 0.7, "gauc": None} and summary.served_on_new_data_by_label is None


def test_the_served_model_s_metrics_are_read_by_label(tmp_path):
    by_label = {"click": {"auc": 0.7}, "purchase": {"auc": 0.8}}
    summary = read_days(tmp_path, {"7": 10}, {}, by_label)
    assert summary.served_on_new_data == {"version": 17, "auc": 0.7} and summary.served_on_new_data_by_label == by_label


def test_what_a_search_has_found(summary_of, tmp_path):
    assert summary_of().tuner is None
    results = tmp_path / "Tuner" / "tuner_results"
    results.mkdir(parents=True)
    trial = {"values": {"model.dropout": 0.1}, "auc": 0.7, "epoch": 1, "seconds": 1.0, "failed": ""}
    (results / "trials.json").write_text(json.dumps([trial, {**trial, "values": {"model.dropout": 0.3}, "auc": 0.8}]))
    found = summary_of(outputs=("Tuner",)).tuner  # the training has failed
    assert (found["values"], found["validation_auc"], found["own_validation_auc"]) == ({"model.dropout": 0.3}, 0.8, 0.7)
