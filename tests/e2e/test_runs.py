"""The main job: train, evaluate and push; then again, against the first model as the baseline; then runs that must not push."""

import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf

from components.base.tfrecord import read_batches, read_records
from components.serving.store.models_config import ServedModel, read_models_config
from components.serving.store.versions import served_versions
from components.slice_columns import bucket
from tests.components.evaluation.metrics.test_gauc import user_by_user
from tests.conftest import ROOT
from tests.e2e.conftest import SECRET, din, run

DATA_NODES = {"ImportExampleGen", "ImportSchemaGen", "StatisticsGen", "ExampleValidator", "DataGate", "DriftValidator", "DriftGate"}
NEVER_PUSHED = "evaluation.thresholds.auc.at_least=0.999"
NODES = DATA_NODES | {"Transform", "Trainer", "SliceColumns", "Evaluator", "UserBootstrap", "Verdict", "Pusher"}


def column(data, name, split="eval"):
    files = sorted((data / split).iterdir())
    return np.concatenate([batch.column(name).flatten().to_numpy() for file in files for batch in read_batches(file)])


def eval_scores(data, model):
    """Labels and scores of the eval split, through the pushed model's serving signature, without TFMA."""
    file = data / "eval" / "part-00000.tfrecord.gz"
    labels = column(data, "label")
    scores = tf.saved_model.load(model).signatures["serving_default"](examples=tf.constant(list(read_records(file))))["probability"]
    return labels, scores.numpy()


def test_an_interrupted_run_says_so(runs):
    """Ctrl-C while it trained."""
    assert runs.interrupted.code == 1
    assert "Interrupted: the next run goes on from what is done." in runs.interrupted.out
    assert "Traceback" not in runs.interrupted.out + runs.interrupted.err
    summary = runs.after_interrupt
    assert (summary["status"], summary["metrics"], summary["pushed_version"]) == ("interrupted", None, None)


def test_the_run_after_it_goes_on_from_what_is_done(runs):
    assert {"ImportExampleGen", "StatisticsGen", "Transform"} <= set(runs.first.summary["cached"])


def test_first_run_is_pushed(runs):
    result = runs.first
    summary = result.summary
    assert (result.code, summary["status"], summary["blessed"], summary["refused_because"]) == (0, "pushed", True, None)
    assert summary["examples"] == {"train": 4000, "validation": 500, "eval": 500}
    assert summary["baseline"] is None
    assert [(t["metric"], t["kind"], t["passed"]) for t in summary["thresholds"]] == [("auc", "value", True)]
    assert set(summary["seconds"]["components"]) >= NODES
    assert summary["pushed_path"] == str(runs.workspace / "serving" / "default" / str(summary["pushed_version"]))
    assert json.loads((runs.workspace / "runs" / summary["run_id"] / "summary.json").read_text()) == summary


def test_metrics_are_scikit_learn_s(runs):
    summary = runs.first.summary
    labels, scores = eval_scores(runs.data, summary["pushed_path"])
    metrics = summary["metrics"]
    assert metrics["gauc"] == pytest.approx(user_by_user(column(runs.data, "user_id"), scores, labels), abs=1e-4)  # nearly equal scores
    assert metrics["pr_auc"] == pytest.approx(sklearn.metrics.average_precision_score(labels, scores), abs=5e-3)
    assert metrics["auc"] == pytest.approx(sklearn.metrics.roc_auc_score(labels, scores), abs=1e-3)  # nearly equal scores are ties
    assert metrics["log_loss"] == pytest.approx(sklearn.metrics.log_loss(labels, scores), abs=1e-6)
    assert metrics["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(labels, scores >= 0.5), abs=1e-6)
    assert metrics["calibration"] == pytest.approx(scores.sum() / labels.sum(), rel=1e-5)


def test_oracle_is_the_manifest_s(runs):
    assert runs.first.summary["oracle"] == json.loads((runs.data / "manifest.json").read_text())["oracle"]


def test_second_run_meets_the_first_as_its_baseline(runs):
    first, second = runs.first.summary, runs.second.summary
    assert (runs.second.code, second["status"]) == (0, "pushed")
    assert second["pushed_version"] > first["pushed_version"]
    assert second["baseline"]["version"] == first["pushed_version"]
    assert second["baseline"]["metrics"] == pytest.approx(first["metrics"], abs=1e-6)
    change = next(t for t in second["thresholds"] if t["kind"] == "change")
    assert change["value"] == pytest.approx(second["metrics"]["auc"] - first["metrics"]["auc"], abs=1e-6)
    assert set(second["cached"]) == DATA_NODES | {"Transform", "SliceColumns"}
    assert second["baseline"]["path"] == first["pushed_path"]
    paired = second["baseline"]["changes"]["auc"]
    assert paired["low"] <= paired["value"] <= paired["high"]
    assert paired["value"] == pytest.approx(change["value"], abs=1e-6)


def test_slices_have_scikit_learn_s_metrics(runs):
    """By item popularity, counted here in plain Python from train/."""
    counts = Counter(column(runs.data, "candidate_item_id", "train").tolist())
    buckets = np.array([bucket(counts[item]) for item in column(runs.data, "candidate_item_id").tolist()])
    labels, scores = eval_scores(runs.data, runs.second.summary["pushed_path"])
    user = column(runs.data, "user_id")
    evaluation = json.loads((runs.workspace / "runs" / runs.second.summary["run_id"] / "evaluation.json").read_text())
    found = {row["key"][0][1]: row for row in evaluation["slices"] if [name for name, _ in row["key"]] == ["item_popularity"]}
    assert set(found) == set(buckets)
    for name, row in found.items():
        rows = buckets == name
        assert row["examples"] == rows.sum() and row["clicks"] == labels[rows].sum()
        assert row["metrics"]["log_loss"]["value"] == pytest.approx(
            sklearn.metrics.log_loss(labels[rows], scores[rows], labels=[0, 1]), abs=1e-5
        )
        assert row["metrics"]["gauc"]["value"] == pytest.approx(user_by_user(user[rows], scores[rows], labels[rows]), abs=1e-3)


def test_the_report_is_made(runs):
    path = Path(runs.second.summary["report_path"])
    assert path.parent == runs.workspace / "runs" / runs.second.summary["run_id"]
    assert "auc" in path.read_text()


def test_slices_count_each_impression_once(runs):
    """With a baseline too: the buckets' counts add up to the split, and are those of the raw histories."""
    import tensorflow_model_analysis as tfma

    batches = read_batches(runs.data / "eval" / "part-00000.tfrecord.gz")
    lengths = [len(row or []) for batch in batches for row in batch.column("historical_item_ids").to_pylist()]
    expected = {}
    for length in lengths:
        expected[bucket(length)] = expected.get(bucket(length), 0) + 1
    result = tfma.load_eval_result(runs.second.summary["tfma_path"], model_name="candidate")
    counts = {
        key[0][1]: metrics[""][""]["example_count"]["doubleValue"]
        for key, metrics in result.slicing_metrics
        if [name for name, _ in key] == ["historical_item_ids_length"]
    }
    assert counts == expected and sum(expected.values()) == 500 and len(expected) > 2


def test_unchanged_weights_are_not_pushed_again(runs):
    again = run(runs.workspace, runs.data, ("training.seed=1",))
    assert (again.code, again.summary["status"]) == (0, "unchanged")
    assert again.summary["stable_at_start"] == runs.second.summary["pushed_version"]
    assert again.summary["pushed_version"] == runs.second.summary["pushed_version"]
    assert "Trainer" in again.summary["cached"]
    assert served_versions(runs.serving) == [runs.first.summary["pushed_version"], runs.second.summary["pushed_version"]]


def test_tf_serving_is_told_of_the_second_model(runs):
    version = runs.second.summary["pushed_version"]
    assert read_models_config(runs.serving) == ServedModel("default", str(runs.serving), {"canary": version, "stable": version})
    assert "models/default:predict" in (runs.serving / str(version) / "signatures.md").read_text()


def test_what_was_rolled_back_is_neither_a_baseline_nor_pushed_again(runs):
    first, second = (result.summary["pushed_version"] for result in (runs.first, runs.second))
    back = din("rollback", "--workspace", runs.workspace, "--poll-seconds", 0, "--json")
    assert (back.code, back.summary) == (0, {"name": "default", "stable": first, "canary": first})
    again = run(runs.workspace, runs.data, ("training.seed=1",))
    assert (again.code, again.summary["status"], again.summary["pushed_version"]) == (3, "refused", None)
    assert again.summary["baseline"]["version"] == first
    command = f"din rollback --name default --to {second}"
    assert again.summary["refused_because"] == (
        f"these very weights are version {second}, which was rolled back: {command} serves it again."
    )
    assert din(*command.split()[1:], "--workspace", runs.workspace, "--poll-seconds", 0).code == 0
    assert read_models_config(runs.serving).labels == {"canary": second, "stable": second}


@pytest.fixture(scope="module")
def refused(runs):
    """The second model again, held against bounds that nothing reaches: of the whole split, of slices, and of latency."""
    slices = 'evaluation.slice_thresholds=[{metric="auc",slice={item_popularity="*"},at_least=0.999,min_examples=200}]'
    return run(runs.workspace, runs.data, ("training.seed=1", NEVER_PUSHED, slices, "serving.latency_ms=0.001"))


def test_a_worse_model_is_refused_and_is_no_baseline(runs, refused):
    """Exit 3, nothing pushed, and the reason has the numbers."""
    summary = refused.summary
    assert (refused.code, summary["status"], summary["blessed"], summary["pushed_version"]) == (3, "refused", False, None)
    assert summary["refused_because"].startswith(f"auc is {summary['metrics']['auc']:.4f}, but at least 0.999 is asked for; ")
    assert refused.err == f"din: {summary['refused_because']}\n"
    assert len(served_versions(runs.serving)) == 2
    assert summary["baseline"]["version"] == runs.second.summary["pushed_version"]
    assert (summary["baseline"]["version"], summary["stable_at_start"]) == (runs.second.summary["pushed_version"],) * 2


def test_a_slice_can_refuse_a_model(refused):
    """Nothing is trained or drawn anew; slices with too few impressions are not judged, and the refusal is in the report."""
    summary = refused.summary
    assert {"Trainer", "UserBootstrap"} <= set(summary["cached"])
    overall = [row for row in summary["thresholds"] if row["slice"] == "overall"]
    slices = [row for row in summary["thresholds"] if row["slice"] != "overall"]
    assert [(row["rule"], row["passed"]) for row in overall] == [("at least 0.999", False), ("at most 0.5 below the baseline", True)]
    assert {row["judged"] for row in slices} == {True, False}
    assert all(row["judged"] == (row["examples"] >= 200) == (not row["passed"]) for row in slices)
    first = next(row for row in slices if row["judged"])
    reason = f"auc of {first['slice']} ({first['examples']} impressions) is {first['value']:.4f}, but at least 0.999 is asked for"
    assert reason in summary["refused_because"]
    assert reason in Path(summary["report_path"]).read_text()


def test_an_export_that_is_too_slow_is_refused(refused):
    assert re.search(r"signature '\w+' takes [0-9.]+ ms \(p99 at batch 1\), but at most 0.001 ms", refused.summary["refused_because"])
    assert refused.summary["loading"]["blessed"] is False


@pytest.fixture(scope="module")
def edited(runs, tmp_path_factory):
    """A run of edited code, without a baseline."""
    project = tmp_path_factory.mktemp("project")
    for package in ("pipeline", "components", "din_trainer"):
        shutil.copytree(ROOT / package, project / package)
    with open(project / "din_trainer" / "layers" / "events.py", "a") as file:  # the trainer reaches it through models and layers
        file.write("\n# edited\n")
    command = (sys.executable, "-c", "import sys; from pipeline.cli.main import main; sys.exit(main())")
    settings = ("training.seed=1", "training.epochs=1", "evaluation.baseline=none", NEVER_PUSHED)
    return run(runs.workspace, runs.data, settings, command=command, cwd=project)


def test_edited_code_meets_no_stale_cache(edited):
    assert edited.code == 3, edited.err
    assert set(edited.summary["cached"]) >= DATA_NODES
    assert "Transform" in edited.summary["cached"]  # it does not reach the layers
    assert not {"Trainer", "Evaluator"} & set(edited.summary["cached"])


def test_a_run_without_a_baseline_says_so(runs, edited):
    assert (edited.code, edited.summary["baseline"]) == (3, None)
    assert edited.summary["stable_at_start"] == runs.second.summary["pushed_version"]  # what a push would replace is recorded all the same
    config = json.loads((runs.workspace / "runs" / edited.summary["run_id"] / "config.json").read_text())
    assert config["evaluation"]["baseline"] == "none"
    assert [row["kind"] for row in edited.summary["thresholds"]] == ["value"]


def test_the_pushed_model_has_its_signatures(runs):
    model = tf.saved_model.load(runs.second.summary["pushed_path"])
    assert {"serving_default", "predict", "rank", "transform_features", "explain"} == set(model.signatures)
    predict = model.signatures["predict"].structured_input_signature[1]
    assert {name: (tuple(spec.shape), spec.dtype.name) for name, spec in predict.items()} == {
        "user_id": ((None,), "int64"),
        "candidate_item_id": ((None,), "int64"),
        "candidate_category_id": ((None,), "int64"),
        "historical_item_ids": ((None, None), "int64"),
        "historical_category_ids": ((None, None), "int64"),
    }


def test_the_export_was_compared_with_the_trained_model(runs):
    for summary in (runs.first.summary, runs.second.summary):
        sameness = summary["sameness"]
        assert sameness["examples"] == 68 * 4 and sameness["refused_because"] is None
        assert set(sameness["differences"]) == {"serving_default", "one by one", "predict", "rank", "transform_features"}
        assert sameness["largest_difference"] == max(sameness["differences"].values()) <= 1e-6


def test_the_export_was_loaded_and_asked_before_it_was_pushed(runs):
    summary = runs.second.summary
    loading = summary["loading"]
    assert loading["blessed"] and loading["largest_difference"] <= 1e-6
    assert set(loading["latency_ms"]) == {"serving_default", "predict", "rank"} and loading["memory_mb"] > 0
    assert (Path(summary["pushed_path"]) / "assets.extra" / "tf_serving_warmup_requests").is_file()


def test_training_left_logs_and_a_keras_model(runs):
    import keras

    import din_trainer.models.make_model  # registers DIN
    import din_trainer.training.loop  # noqa: F401  # and its optimizer

    runs = sorted((runs.workspace / "artifacts" / "default" / "Trainer" / "model_run").iterdir(), key=lambda path: int(path.name))
    model = keras.models.load_model(runs[0] / "din.keras")
    assert model.din_config.training.epochs == 2
    assert list(runs[0].rglob("events.out.tfevents.*"))


def test_predict_scores_the_sample(runs, tmp_path):
    model = runs.second.summary["pushed_path"]
    result = din("predict", "--model", model, runs.data / "sample.jsonl")
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in result.out.splitlines()]
    _, scores = eval_scores(runs.data, model)
    np.testing.assert_allclose([row["probability"] for row in rows], scores[:20], atol=1e-6)
    sample = [json.loads(line) for line in (runs.data / "sample.jsonl").read_text().splitlines()]
    assert [{k: v for k, v in row.items() if k != "probability"} for row in rows] == sample


def test_predict_scores_a_folder(runs, tmp_path):
    model = runs.second.summary["pushed_path"]
    result = din("predict", "--model", model, runs.data / "eval", "--out", tmp_path / "scores.jsonl")
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    _, scores = eval_scores(runs.data, model)
    np.testing.assert_allclose(sorted(row["probability"] for row in rows), sorted(scores), atol=1e-6)
    assert {"user_id", "candidate_item_id", "timestamp", "label"} <= set(rows[0])
    assert [path.name for path in tmp_path.iterdir()] == ["scores.jsonl"]


@pytest.mark.parametrize(
    "line, reason",
    [
        ("{not json", "line 1 is not JSON"),
        ("[1, 2]", "line 1: a JSON object is needed"),
        ('{"user_id": 1, "candidate_category_id": 1}', "candidate_item_id"),
        ('{"user_id": "anna", "candidate_item_id": 1, "candidate_category_id": 1}', "line 1: feature 'user_id' is \"anna\", but int64"),
    ],
)
def test_predict_refuses_bad_lines(runs, tmp_path, line, reason):
    file = tmp_path / "bad.jsonl"
    file.write_text(line + "\n")
    result = din("predict", "--model", runs.second.summary["pushed_path"], file)
    assert result.code == 2 and reason in result.err and result.out == ""
    assert result.err.count("\n") == 1


def test_runs_are_listed(runs):
    listed = din("runs", "--workspace", runs.workspace, "--json")
    ids = [summary["run_id"] for summary in listed.summary]
    assert [runs.first.summary["run_id"], runs.second.summary["run_id"]] == ids[1:3]
    table = din("runs", "--workspace", runs.workspace)
    assert table.code == 0 and "pushed" in table.out


def test_no_file_of_the_workspace_shows_a_secret_or_is_readable_for_others(runs):
    paths = [path for path in runs.workspace.rglob("*") if not path.is_symlink()]
    assert [path for path in paths if path.stat().st_mode & 0o007] == []
    assert [path for path in paths if path.is_file() and SECRET.encode() in path.read_bytes()] == []
    assert "token=***" in (runs.workspace / "runs" / runs.first.summary["run_id"] / "config.json").read_text()


def test_the_workspace_has_the_last_run_for_prometheus(runs):
    assert 'din_run_status{name="default",status=' in (runs.workspace / "metrics.prom").read_text()
