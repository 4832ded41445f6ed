"""A new day every day: two days are run one after the other, then a day whose data came late is run again and refused."""

import hashlib
import json
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from components.base.tfrecord import read_batches, read_records
from tests.e2e.conftest import Result, din
from tests.sample_data import write_records

DAYS = ("2026-11-21", "2026-11-22", "2026-11-23")
EACH = 600  # impressions of a day
LATE = 100  # of them a file that comes later
SETTINGS = (
    *(
        "training.epochs=1",
        "training.batch_size=128",
        "evaluation.thresholds.auc.worse_by_at_most=1",
        "evaluation.thresholds.calibration.at_most=1000",
        "evaluation.thresholds.calibration.at_least=0",
        "serving.poll_seconds=0",
    ),
    *("evaluation.bootstrap.replicates=20", "spans.window=2", "spans.validation_share=0.25"),
)
NODES = ("ImportExampleGen", "StatisticsGen", "ExampleValidator", "DataGate")


class Days(NamedTuple):
    """Three days of which the last two were run, and then the last one again, after a file had come."""

    data: Any
    workspace: Any
    first: Result
    again: Result
    first_days: list[bytes]


def run(data, workspace, *options):
    settings = [f"--set={setting}" for setting in SETTINGS]
    return din("run", "--json", "--until-current", "--data", data, "--workspace", workspace, *settings, *options)


@pytest.fixture(scope="module")
def days(tmp_path_factory, tiny_data):
    """The impressions of a synthetic data set, cut into days."""
    data, workspace = tmp_path_factory.mktemp("days"), tmp_path_factory.mktemp("workspace")
    batches = read_batches(tiny_data / "train" / "part-00000.tfrecord.gz")
    table = pa.Table.from_batches(batches).combine_chunks()
    for number, day in enumerate(DAYS):
        folder = data / f"day={day}" / "impressions"
        folder.mkdir(parents=True)
        rows = table.slice(number * EACH, EACH).to_batches()[0]
        write_records(folder / "part-0.tfrecord.gz", rows.slice(0, EACH - LATE))
        write_records(folder / "part-1.tfrecord.gz", rows.slice(EACH - LATE))
    (data / f"day={DAYS[2]}" / "manifest.json").write_text(json.dumps({"oracle": {"auc": 0.8}, "examples": {"impressions": EACH}}))
    late = data / f"day={DAYS[1]}" / "impressions" / "part-1.tfrecord.gz"
    kept = late.read_bytes()
    late.unlink()
    records = list(read_records(data / f"day={DAYS[1]}" / "impressions" / "part-0.tfrecord.gz"))
    first = run(data, workspace, "--set=evaluation.thresholds.auc.at_least=0")
    late.write_bytes(kept)
    again = run(data, workspace, "--rerun-changed", "--set=evaluation.thresholds.auc.at_least=0.999")
    return Days(data, workspace, first, again, records)


def in_share(record):
    return hashlib.blake2b(record, digest_size=8).digest() < b"\x40"  # a quarter of all hashes


def test_every_day_that_was_not_run_is_run_in_order(days):
    assert days.first.code == 0, days.first.err
    found = days.first.summary
    assert found["spans"] == list(DAYS[1:])
    assert [(run["span"], run["status"]) for run in found["runs"]] == [(day, "pushed") for day in DAYS[1:]]
    assert found["notes"] == [f"{DAYS[0]} is not judged, because no span in the window of 2 is before it."]


def test_a_window_is_trained_on_and_the_newest_day_is_judged(days):
    """The second run: the first two days are train, except a quarter of the second by its hash, which is counted here from its records."""
    summary = days.first.summary["runs"][1]
    validation = sum(map(in_share, days.first_days))
    assert summary["spans"] == {"train": list(DAYS[:2]), "validation": DAYS[1], "eval": DAYS[2]}
    assert summary["span_examples"] == {DAYS[0]: EACH, DAYS[1]: EACH - LATE, DAYS[2]: EACH}
    assert summary["examples"] == {"train": 2 * EACH - LATE - validation, "validation": validation, "eval": EACH}
    assert summary["oracle"] == {"auc": 0.8}


def test_an_old_day_is_neither_read_nor_counted_again(days):
    first, second = days.first.summary["runs"]
    assert first["cached"] == []
    assert {f"{node}.{day}" for node in NODES for day in DAYS[:2]} <= set(second["cached"])
    assert not {f"{node}.{DAYS[2]}" for node in NODES} & set(second["cached"])
    assert first["span_fingerprints"][DAYS[1]] == second["span_fingerprints"][DAYS[1]]


def test_the_served_model_is_scored_on_the_new_day_before_the_training(days):
    """It is the baseline of the same run, so TFMA computes the same metrics of it after the training."""
    first, second = days.first.summary["runs"]
    assert first["served_on_new_data"] is None
    served = second["served_on_new_data"]
    assert served.pop("version") == first["pushed_version"]
    assert set(served) == {"auc", "gauc", "calibration", "log_loss"}
    assert served == pytest.approx({name: second["baseline"]["metrics"][name] for name in served}, abs=1e-6)
    components = list(second["seconds"]["components"])
    assert components.index("NewDataScore") < components.index("Trainer")


def test_a_day_that_changed_is_run_again_and_a_refusal_ends_the_runs(days):
    """The late file of the second day is in the window of the third, which is run again; its model is refused: exit status 3."""
    assert days.again.code == 3
    found = days.again.summary
    (summary,) = found["runs"]
    assert (summary["span"], summary["status"]) == (DAYS[2], "refused")
    assert summary["span_examples"][DAYS[1]] == EACH
    last = days.first.summary["runs"][1]["run_id"]
    assert f"{DAYS[1]} has changed since run {last} read it: this run reads its new files." in summary["notes"]
    assert {f"ImportExampleGen.{DAYS[0]}", f"StatisticsGen.{DAYS[2]}"} <= set(summary["cached"])
    assert f"ImportExampleGen.{DAYS[1]}" not in summary["cached"]


def test_runs_and_the_report_show_the_days(days):
    listed = json.loads(din("runs", "--workspace", days.workspace, "--json").out)
    assert [run["span"] for run in listed] == [DAYS[1], DAYS[2], DAYS[2]]
    report = next(days.workspace.glob(f"runs/{days.again.summary['runs'][0]['run_id']}/report.html")).read_text()
    assert f"Trained on {DAYS[0]}, {DAYS[1]}, judged on {DAYS[2]}." in report
    assert "days-auc" in report and "served, before the training" in report
