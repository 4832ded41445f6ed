"""Drift and skew: data that is far from that of the run before, and from what was asked in serving, is refused, or warned about."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from components.base.tfrecord import read_records
from tests.e2e.conftest import Result, Runs, din, run
from tests.e2e.test_runs import column

pytestmark = pytest.mark.changes_runs


@pytest.fixture(scope="module")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other users and items: 30 of them, where there were 100 and 60."""
    out = tmp_path_factory.mktemp("data") / "drifted"
    made = din("synth", "--examples", 3000, "--users", 30, "--items", 30, "--categories", 6, "--seed", 3, "--out", out)
    assert made.code == 0, made.err
    return out


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, drifted: Path) -> Path:
    """Requests for impressions of the drifted data, in TF Serving's form; each one for the same category."""
    folder = tmp_path_factory.mktemp("log")
    with tf.io.TFRecordWriter(str(folder / "requests.tfrecord")) as writer:
        for record in list(read_records(next((drifted / "eval").iterdir())))[:100]:
            example = tf.train.Example.FromString(record)
            del example.features.feature["label"]
            example.features.feature["candidate_category_id"].int64_list.value[:] = [4]
            request = PredictionLog()
            request.predict_log.request.inputs["examples"].CopyFrom(tf.make_tensor_proto([example.SerializeToString()]))
            writer.write(request.SerializeToString())
    return folder


def bounds(action: str) -> tuple[str, ...]:
    return (
        f'drift.candidate_item_id={{at_most=0.01,action="{action}"}}',
        f'skew.candidate_category_id={{at_most=0.3,action="{action}"}}',
        "evaluation.thresholds.auc.at_least=0.1",
        "evaluation.thresholds.auc.worse_by_at_most=0.9",
        "training.epochs=1",
    )


def shares(data: Path, name: str) -> dict[int, float]:
    values, counts = np.unique(column(data, name, "train"), return_counts=True)
    return dict(zip(values.tolist(), (counts / counts.sum()).tolist(), strict=True))


@pytest.fixture(scope="module")
def refused(runs: Runs, drifted: Path, log: Path) -> Result:
    return run(runs.workspace, drifted, (*bounds("refuse"), f"requests={log}"))


def test_drifted_data_is_refused_with_its_numbers(runs, drifted, log, refused):
    """The distances are those of the impressions themselves, counted by NumPy. Nothing is trained."""
    summary = refused.summary
    assert (refused.code, summary["status"], summary["metrics"]) == (2, "data_refused", None)
    before, now = shares(runs.data, "candidate_item_id"), shares(drifted, "candidate_item_id")
    drift = max(abs(before.get(item, 0) - now.get(item, 0)) for item in before.keys() | now.keys())
    skew = max(abs((category == 4) - share) for category, share in shares(drifted, "candidate_category_id").items())
    found = {(row["kind"], row["feature"]): row for row in summary["drift"] if row["passed"] is False}
    assert found.keys() == {("drift", "candidate_item_id"), ("skew", "candidate_category_id")}
    assert found["drift", "candidate_item_id"]["value"] == pytest.approx(drift)
    assert found["skew", "candidate_category_id"]["value"] == pytest.approx(skew)
    other = runs.second.summary["run_id"]
    assert summary["refused_because"] == (
        f"drift of feature 'candidate_item_id': the L-infinity distance of train/ from train/ of run {other} is {drift:.4f}, "
        "but at most 0.01 is asked for. skew of feature 'candidate_category_id': the L-infinity distance of train/ from the requests in "
        f"{log} is {skew:.4f}, but at most 0.3 is asked for."
    )
    assert refused.err == f"din: {summary['refused_because']}\n"
    assert f"Logged requests: {log}: 100 impressions of 100 requests." in summary["notes"]
    assert not {"Transform", "Trainer"} & summary["seconds"]["components"].keys()


def test_with_a_warning_it_is_pushed(runs, drifted, log, refused):
    """What was measured is in the cache. The report shows the same figures."""
    result = run(runs.workspace, drifted, (*bounds("warn"), f"requests={log}"))
    summary = result.summary
    assert (result.code, summary["status"]) == (0, "pushed")
    assert {"RequestExamples", "RequestStatistics", "StatisticsGen"} <= set(summary["cached"])
    warned = [note for note in summary["notes"] if re.match("(Drift|Skew) of feature", note)]
    assert len(warned) == 2
    details = json.loads((runs.workspace / "runs" / summary["run_id"] / "details.json").read_text())
    assert details["data"]["drift"] == summary["drift"]
    assert "Skew: train/ against the requests in" in Path(summary["report_path"]).read_text()


def test_the_first_runs_had_nothing_to_compare_with(runs):
    """The second run read the same data as the first."""
    assert runs.first.summary["drift"] == runs.second.summary["drift"] == []
    assert not [note for note in runs.first.summary["notes"] if "drift" in note.lower()]
