"""Which spans a run reads, what it finds in them, and which spans wait for a run."""

import pyarrow as pa
import pytest

from components.base.errors import DataError, InputError
from components.base.shards import hash_shard
from din_trainer.features import FeatureConfig
from pipeline.configuration.load_config import load_config
from pipeline.configuration.pipeline_config import SpansConfig
from pipeline.datasets.spans import find_spans
from pipeline.records.summary import Summary
from pipeline.run.checks import check_impressions
from pipeline.run.checks.check_impressions import check_spans
from pipeline.run.spans import span_versions
from pipeline.run.spans.span_plan import plan_spans
from pipeline.run.spans.span_versions import SpanVersions, changed_spans, record_spans, unfair_comparison
from pipeline.run.spans.until_current import waiting_spans
from tests.sample_data import make_column, make_impressions, write_records

DAYS = ("2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23")


def write_day(data, day, part="impressions", name="part-0.tfrecord.gz", **changes):
    folder = data / f"day={day}" / part
    folder.mkdir(parents=True, exist_ok=True)
    columns = {name: make_column(values) for name, values in make_impressions(**changes).items()}
    return write_records(folder / name, pa.RecordBatch.from_pydict(columns))


@pytest.fixture
def data(tmp_path):
    """Four days of four impressions each; no two are the same."""
    for number, day in enumerate(DAYS):
        write_day(tmp_path / "data", day, user_id=[number, 0, 1, 2])
    return tmp_path / "data"


def plan(data, asked="latest", **settings):
    return plan_spans(data, asked, SpansConfig(**settings))


def check(plan, known=None):
    return check_spans(plan.before, plan.newest, FeatureConfig(), known)


def test_a_window_learns_from_the_days_before_the_newest(data):
    found = plan(data, window=2)
    assert found.names == {"train": ["2026-11-21", "2026-11-22"], "validation": "2026-11-22", "eval": "2026-11-23"}
    assert found.notes() == [] and found.judges_all and not found.has_own_splits


def test_what_a_window_lacks_is_said(data):
    (data / "day=2026-11-21").rename(data / ".away")
    assert plan(data, window=7).notes() == [
        "2026-11-21 is missing in the window of 7 before 2026-11-23.",
        "The data begins within the window of 7 before 2026-11-23: its oldest span is 2026-11-20.",
    ]


def test_without_a_window_a_day_is_split_or_has_splits(data):
    assert plan(data).names == {"train": ["2026-11-23"], "validation": "2026-11-23", "eval": "2026-11-23"}
    assert not plan(data).has_own_splits
    for split in ("train", "validation", "eval"):
        write_day(data, "2026-11-24", split)
    assert plan(data).has_own_splits
    with_window = plan(data, window=1)
    assert not with_window.has_own_splits and not with_window.judges_all  # the oracle of the manifest is that of eval/


def test_the_first_day_has_nothing_to_learn_from(data):
    with pytest.raises(DataError, match="no span in the window of 3 before 2026-11-20, so there is nothing to train on"):
        plan(data, "2026-11-20", window=3)


def test_days_are_counted_and_fingerprinted_one_by_one(data, tmp_path):
    facts = check(plan(data, window=2), tmp_path / "known.json")
    assert facts.examples == {"2026-11-21": 4, "2026-11-22": 4, "2026-11-23": 4}
    assert len(set(facts.fingerprints.values())) == 3
    assert facts.fingerprint.splitlines() == list(facts.fingerprints.values())
    write_day(data, "2026-11-24")
    assert check(plan(data, window=3), tmp_path / "known.json").fingerprints["2026-11-22"] == facts.fingerprints["2026-11-22"]


def test_a_day_that_was_checked_is_not_read_again(data, tmp_path, monkeypatch):
    check(plan(data, window=2), tmp_path / "known.json")
    write_day(data, "2026-11-24")
    read, check_shard = [], check_impressions._check_shard
    monkeypatch.setattr(check_impressions, "_check_shard", lambda file, features: read.append(file) or check_shard(file, features))
    check(plan(data, window=2), tmp_path / "known.json")
    assert [file.parts[-3] for file in read] == ["day=2026-11-24"]


@pytest.mark.parametrize(
    ("days", "message"),
    [
        ({"2026-11-23": {"label": [0] * 4}}, r"day=2026-11-23: every label is 0"),
        ({"2026-11-21": {"label": [1] * 4}, "2026-11-22": {"label": [1] * 4}}, r"data: every label is 1"),
        ({"2026-11-22": {"user_id": [1, 2, -1, 4]}}, r"day=2026-11-22/impressions/part-0.tfrecord.gz, impression 3: feature 'user_id'"),
    ],
)
def test_a_day_that_is_wrong_is_named(data, days, message):
    for day, changes in days.items():
        write_day(data, day, **changes)
    with pytest.raises(DataError, match=message):
        check(plan(data, window=2))


def test_one_class_in_one_of_the_days_to_learn_from_is_enough(data):
    write_day(data, "2026-11-21", label=[1] * 4)
    assert sum(check(plan(data, window=2)).examples.values()) == 12


def test_a_day_without_timestamps_cannot_be_split(data):
    write_day(data, "2026-11-23", timestamp=None, historical_timestamps=None)
    message = "day=2026-11-23 cannot be split by time, because no impression has a timestamp: give it splits of its own, or use --window"
    with pytest.raises(DataError, match=message):
        check(plan(data))


def record(workspace, data, run_id, day, status="pushed", **settings):
    """Writes the summary of a run as if it had just read its spans. Returns it."""
    found = plan(data, day, **settings)
    summary = Summary(run_id=run_id, name="default", span=found.newest.name, spans=found.names)
    record_spans(summary, found, check(found), workspace)
    summary.end(status, None)
    summary.write(workspace)
    return summary


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "w").mkdir()
    return tmp_path / "w"


def test_late_data_is_a_new_version_of_a_day(data, workspace):
    """A file that comes late to a day: the next run that reads the day says so once; a run that does not read it says how to read it."""
    first = record(workspace, data, "20261122-1-default", "2026-11-22", window=2)
    assert first.notes == [] and list(first.span_fingerprints) == ["2026-11-20", "2026-11-21", "2026-11-22"]
    assert record(workspace, data, "20261122-2-default", "2026-11-22", window=2).notes == []
    write_day(data, "2026-11-20", name="part-1.tfrecord.gz")
    read = "has changed since run 20261122-2-default read it"
    other = record(workspace, data, "20261123-1-default", "2026-11-23", window=2)
    assert other.notes == [f"2026-11-20 {read}: only a window that has it (--window) learns from its new files."]
    again = record(workspace, data, "20261123-2-default", "2026-11-22", window=2)
    assert again.notes == [f"2026-11-20 {read}: this run reads its new files."]
    assert record(workspace, data, "20261123-3-default", "2026-11-23", window=2).notes == []


def test_a_run_that_judged_nothing_has_read_nothing(data, workspace):
    record(workspace, data, "20261122-1-default", "2026-11-22", "failed", window=2)
    write_day(data, "2026-11-22", user_id=[7, 7, 7, 7])
    assert record(workspace, data, "20261122-2-default", "2026-11-22", window=2).notes == []


def test_only_files_that_were_touched_are_read(data, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(span_versions, "hash_shard", lambda file: read.append(file.parts[-3]) or hash_shard(file))

    def fingerprints():
        versions = SpanVersions(tmp_path / "spans.json")
        found = [versions.fingerprint(span) for span in find_spans(data)]
        versions.save()
        return found

    first = fingerprints()
    assert fingerprints() == first and read == [f"day={day}" for day in DAYS]
    (data / "day=2026-11-21" / "impressions" / "part-0.tfrecord.gz").touch()
    assert fingerprints() == first and read[4:] == ["day=2026-11-21"]
    (tmp_path / "spans.json").write_text("broken")
    assert fingerprints() == first and len(read) == 9


def test_a_day_that_lost_its_files_has_changed(data, workspace):
    run = record(workspace, data, "20261122-1-default", "2026-11-22", window=1)
    for file in (data / "day=2026-11-21" / "impressions").iterdir():
        file.unlink()
    versions = SpanVersions(workspace / "checks" / "spans.json")
    assert [span.name for span in changed_spans(find_spans(data), run, versions)] == ["2026-11-21"]


def test_a_served_model_that_has_learnt_from_the_day_is_no_fair_baseline(data, workspace):
    """Version 17 was trained on the 21st and 22nd. Runs of these days say so, a run of the 23rd does not."""
    served = record(workspace, data, "20261123-1-default", "2026-11-23", window=2)
    served.pushed_version = 17
    served.write(workspace)

    def sentences(day, stable=17):
        planned = plan_spans(data, day, SpansConfig(window=1)) if day else None
        return unfair_comparison(Summary(run_id="r", name="default", span=day, stable_at_start=stable), planned, workspace)

    learnt, newer = sentences("2026-11-22")
    assert learnt.startswith("Version 17, which is served, has learnt from 2026-11-22: on this span its metrics are better")
    model = "Version 17, which is served, is the model of 2026-11-23"
    assert newer == f"{model}: a push replaces it by the model of an older span, 2026-11-22."
    assert len(sentences("2026-11-21")) == 2
    assert not sentences("2026-11-23") and not sentences("2026-11-22", stable=18) and not sentences(None)
    assert not sentences("2026-11-22", stable=None)


def waiting(data, workspace, *settings, last="latest", rerun=False):
    found = waiting_spans(data, load_config(None, ["spans.window=2", *settings]), workspace, last, rerun)
    return [span.name for span in found.spans], found.notes


def test_all_days_wait_except_the_first_which_has_nothing_before_it(data, tmp_path):
    first = "2026-11-20 is not judged, because no span in the window of 2 is before it."
    assert waiting(data, tmp_path / "new") == (list(DAYS[1:]), [first])
    assert waiting(data, tmp_path / "new", "spans.window=0") == (list(DAYS), [])
    assert waiting(data, tmp_path / "new", last="2026-11-22") == (["2026-11-21", "2026-11-22"], [first])


@pytest.mark.parametrize("status", ["pushed", "unchanged", "refused"])
def test_days_after_the_last_one_that_was_judged_wait(data, workspace, status):
    record(workspace, data, "20261122-1-default", "2026-11-22", status, window=2)
    assert waiting(data, workspace) == (["2026-11-23"], [])


@pytest.mark.parametrize("status", ["failed", "data_refused", "interrupted", "killed"])
def test_a_day_whose_run_judged_nothing_waits_again(data, workspace, status):
    record(workspace, data, "20261121-1-default", "2026-11-21", window=2)
    record(workspace, data, "20261122-1-default", "2026-11-22", status, window=2)
    assert waiting(data, workspace) == (["2026-11-22", "2026-11-23"], [])


def test_runs_of_another_name_do_not_count(data, workspace):
    record(workspace, data, "20261122-1-default", "2026-11-22", window=2)
    assert waiting(data, workspace, "name=other")[0] == list(DAYS[1:])


def test_a_day_that_is_held_back_is_named(data, tmp_path):
    names, notes = waiting(data, tmp_path / "new", "spans.hold_back=1")
    assert names == ["2026-11-21", "2026-11-22"]
    assert notes[1:] == ["2026-11-23 is held back: spans.hold_back is 1."]


def test_the_last_day_runs_again_on_request_if_its_data_changed(data, workspace):
    record(workspace, data, "20261122-1-default", "2026-11-22", window=2)
    write_day(data, "2026-11-20", name="part-1.tfrecord.gz")
    assert waiting(data, workspace) == (
        ["2026-11-23"],
        ["Changed since the run on 2026-11-22 read it: 2026-11-20. --rerun-changed runs 2026-11-22 again."],
    )
    assert waiting(data, workspace, rerun=True) == (["2026-11-22", "2026-11-23"], [])
    record(workspace, data, "20261122-2-default", "2026-11-22", window=2)
    assert waiting(data, workspace, rerun=True) == (["2026-11-23"], [])


def test_a_day_that_is_not_there_is_named(data, tmp_path):
    with pytest.raises(InputError, match="has no span '2026-11-30'"):
        waiting(data, tmp_path, last="2026-11-30")
