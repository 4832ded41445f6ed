"""Every day starts from the model of the day before: the first cold, the second warm, the second again, and one whose start was deleted."""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from components.base.tfrecord import read_batches
from din_trainer.trainer import KERAS_FILE
from tests.e2e.conftest import Result, din
from tests.sample_data import write_records

DAYS = ("2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24")
EACH = 600  # impressions of a day
SETTINGS = (
    *("training.epochs=1", "training.batch_size=128", "training.warm_start=served", "training.warm_moments=true"),
    *("evaluation.thresholds.auc.at_least=0", "evaluation.thresholds.auc.worse_by_at_most=1"),
    *("evaluation.thresholds.calibration.at_most=1000", "evaluation.bootstrap.replicates=0", "serving.poll_seconds=0"),
)


class Runs(NamedTuple):
    """Two days, the second again, and the third after the model of the second was deleted."""

    workspace: Path
    cold: dict[str, Any]
    warm: dict[str, Any]
    again: Result
    without_start: Result


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_data):
    data, workspace = tmp_path_factory.mktemp("days"), tmp_path_factory.mktemp("workspace")
    table = pa.Table.from_batches(read_batches(tiny_data / "train" / "part-00000.tfrecord.gz")).combine_chunks()
    for number, day in enumerate(DAYS):
        folder = data / f"day={day}" / "impressions"
        folder.mkdir(parents=True)
        write_records(folder / "part-0.tfrecord.gz", table.slice(number * EACH, EACH).to_batches()[0])
    where = ("--json", "--data", data, "--workspace", workspace, *(f"--set={setting}" for setting in SETTINGS))
    results = [din("run", "--span", day, *where) for day in (*DAYS[1:3], DAYS[2])]
    for file in workspace.glob(f"artifacts/*/Trainer/model_run/*/{KERAS_FILE}"):
        shutil.rmtree(file.parent)
    without_start = din("run", "--span", DAYS[3], *where)
    assert [result.code for result in results] == [0, 0, 0], results
    return Runs(workspace, results[0].summary, results[1].summary, results[2], without_start)


def test_the_first_day_starts_cold_and_says_so(runs):
    assert runs.cold["status"] == "pushed"
    assert runs.cold["warm_start"] is None
    assert "training.warm_start is 'served', but nothing is served yet: the training started from random weights." in runs.cold["notes"]


def test_a_warm_day_trains_on_the_day_that_was_judged_before(runs):
    assert runs.cold["spans"]["eval"] == DAYS[1]
    assert runs.warm["spans"] == {"train": [DAYS[1]], "validation": DAYS[1], "eval": DAYS[2]}


def test_the_next_day_starts_from_the_served_model_and_counts_what_it_keeps(runs):
    """The start model's values are those of the first day; nothing is forgotten after one span."""
    warm_start = runs.warm["warm_start"]
    assert (warm_start["from"], warm_start["moments"], warm_start["not_kept"]) == (runs.cold["run_id"], True, [])
    graphs = sorted(runs.workspace.glob("artifacts/*/Transform/transform_graph/*"), key=lambda folder: int(folder.name))
    assets = [vocabularies(graph) for graph in graphs]
    assert len(assets) == 2
    for name, counts in warm_start["vocabularies"].items():
        first, second = (set(files[name]) for files in assets)
        assert first <= second
        assert counts == {"kept": len(first), "new": len(second - first), "dropped": 0}, name
    assert warm_start["vocabularies"]["item"]["kept"] > 10
    ages = {line.split(" ", 1)[1]: int(line.split(" ", 1)[0]) for line in assets[1]["item_ages"]}
    assert set(ages.values()) <= {0, 1} and list(ages) == assets[1]["item"]


def vocabularies(graph):
    """The assets of a Transform graph, by name, as lines."""
    return {file.name: file.read_text().splitlines() for file in (graph / "transform_fn" / "assets").iterdir()}


def test_calibration_is_a_gate(runs):
    assert {"calibration"} <= {row["metric"] for row in runs.warm["thresholds"]}


def test_the_same_day_again_starts_where_it_started_and_is_answered_from_the_cache(runs):
    summary = runs.again.summary
    assert summary["status"] == "unchanged"
    assert summary["warm_start"]["from"] == runs.cold["run_id"]
    assert {"Transform", "Trainer"} <= set(summary["cached"])


def test_a_served_model_whose_files_were_deleted_is_one_sentence(runs):
    assert runs.without_start.code == 2
    assert "has no trained model, or it was deleted, so no training can start from it" in runs.without_start.err
    assert "Traceback" not in runs.without_start.err


def test_the_terminal_and_the_report_show_what_was_kept(runs):
    folder = runs.workspace / "runs" / runs.warm["run_id"]
    assert f"The training started from the model of run {runs.cold['run_id']}." in (folder / "report.html").read_text()
    assert json.loads((folder / "summary.json").read_text())["warm_start"] == runs.warm["warm_start"]
