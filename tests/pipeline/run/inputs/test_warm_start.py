"""Which model a warm start begins with."""

from pathlib import Path

import pytest

from components.base.errors import InputError
from components.serving.store.versions import write_pushed_by
from din_trainer.trainer import KERAS_FILE
from pipeline.configuration.load_config import load_config
from pipeline.records.summary import Summary
from pipeline.run.inputs import warm_start
from pipeline.run.inputs.warm_start import find_start

FIRST, SECOND, THIRD, NOW = "20261123-020000-demo", "20261124-020000-demo", "20261125-020000-demo", "20261126-020000-demo"


def spans(*train):
    return {"train": list(train), "validation": train[-1], "eval": "later"}


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """Three runs, each a day later; each but the first began with the one before. The second is served, as version 2."""
    monkeypatch.setattr(warm_start, "RunOutputs", Outputs)
    for run, day, start in ((FIRST, "2026-11-22", None), (SECOND, "2026-11-23", FIRST), (THIRD, "2026-11-24", SECOND)):
        summary = Summary(run_id=run, name="demo", span="x", spans=spans(day), data_fingerprint=day)
        summary.warm_start = {"from": start} if start else None
        summary.end("pushed", None)
        (tmp_path / "runs" / run).mkdir(parents=True)
        summary.write(tmp_path)
        for node in ("model_run", "transform_graph"):
            (tmp_path / "outputs" / run / node).mkdir(parents=True)
        (tmp_path / "outputs" / run / "model_run" / KERAS_FILE).write_text(run)
    for version, run in enumerate((FIRST, SECOND, THIRD), 1):
        (tmp_path / "serving" / "demo" / str(version)).mkdir(parents=True)
        write_pushed_by(tmp_path / "serving" / "demo" / str(version), run)
    serve(monkeypatch, 2)
    (tmp_path / "days" / "day=2026-11-26").mkdir(parents=True)
    return tmp_path


class Outputs:
    """Has the outputs of the runs of the fixture."""

    def __init__(self, metadata, run_id):
        self._folder = metadata.parent / "outputs" / run_id

    def uri(self, node, key):
        return self._folder / key if (self._folder / key).exists() else None


def serve(monkeypatch, version):
    monkeypatch.setattr(warm_start, "sound_version", lambda serving: version)


def find(workspace: Path, choice, *train, fingerprint="new"):
    config = load_config("demo", [f"training.warm_start={choice}"])
    now = Summary(run_id=NOW, name="demo", data=str(workspace / "days"), data_fingerprint=fingerprint)
    now.span, now.spans = ("2026-11-27", spans(*train)) if train else (None, None)
    return find_start(config, workspace, now)


@pytest.mark.parametrize(("choice", "run"), [("served", SECOND), ("1", FIRST), ("3", THIRD), (FIRST, FIRST)])
def test_the_start_is_the_served_version_another_one_or_a_run(workspace, choice, run):
    start, notes = find(workspace, choice, "2026-11-26")
    assert (start.run, start.model_file.read_text(), notes) == (run, run, [])
    assert start.transform_graph == workspace / "outputs" / run / "transform_graph"


def test_the_age_of_the_start_is_counted_in_spans(workspace):
    assert find(workspace, "served", "2026-11-20", "2026-11-26")[0].elapsed == 3
    assert find(workspace, "served")[0].elapsed == 1  # without spans


def test_days_that_no_model_has_learnt_are_said(workspace):
    """After a refused model or a rollback the served model is older than the day before the window."""
    for day in ("2026-11-23", "2026-11-24", "2026-11-25"):  # the served model has learnt up to 2026-11-23
        (workspace / "days" / f"day={day}").mkdir()
    sentence = "Neither the start model nor this run learns from 2026-11-24, 2026-11-25: --window 3 trains on all spans since then."
    assert find(workspace, "served", "2026-11-26").notes == [sentence]  # 3 days before 2026-11-27: from 2026-11-24 on
    assert find(workspace, "served", "2026-11-24", "2026-11-25", "2026-11-26").notes == []


def test_none_trains_from_random_weights(workspace):
    assert find(workspace, "none", "2026-11-26") == (None, [])


def test_if_nothing_is_served_the_run_trains_from_random_weights_and_says_so(workspace, monkeypatch):
    serve(monkeypatch, None)
    start, notes = find(workspace, "served", "2026-11-26")
    assert start is None
    assert notes == ["training.warm_start is 'served', but nothing is served yet: the training started from random weights."]


@pytest.mark.parametrize(("day", "start"), [("2026-11-24", SECOND), ("2026-11-23", FIRST), ("2026-11-22", None)])
def test_a_repeated_day_starts_where_it_started_before(workspace, monkeypatch, day, start):
    """So its nodes are answered from the cache, and no model learns the same day twice. Late data has the same effect."""
    serve(monkeypatch, 3)
    found, notes = find(workspace, "served", day)
    assert (found and found.run) == start
    assert notes == [f"The served model of run {THIRD} has learnt from this data or from later data: the training started where it did."]


def test_the_same_data_without_spans_starts_where_it_started_before(workspace):
    assert find(workspace, "served", fingerprint="2026-11-23")[0].run == FIRST


def test_a_named_start_that_has_learnt_the_days_of_the_run_is_said(workspace):
    """The model that is judged on 2026-11-27 would have learnt from it, or learns from the day before twice."""
    again = f"Run {THIRD}, where the training started, has learnt from 2026-11-24 or later data already."
    assert find(workspace, "3", "2026-11-24").notes == [again]
    assert find(workspace, FIRST, "2026-11-26").notes == []
    late = Summary(run_id=THIRD, name="demo", span="x", spans=spans("2026-11-27"))
    late.end("pushed", None)
    late.write(workspace)
    seen = "has learnt from 2026-11-27 or later data: on this span the metrics are better than on a new one."
    assert find(workspace, THIRD, "2026-11-26").notes == [f"Run {THIRD}, where the training started, {seen}"]


def test_a_run_that_is_named_is_taken_whatever_it_has_learnt(workspace):
    assert find(workspace, THIRD, "2026-11-22")[0].run == THIRD


def test_another_model_has_another_fingerprint(workspace):
    """It is in the cache keys of Transform and Trainer."""
    starts = [find(workspace, run, "2026-11-26")[0] for run in (FIRST, SECOND)]
    assert len({start.fingerprint for start in starts}) == 2
    assert all(start.fingerprint in (start.for_transform(3)["fingerprint"], start.for_trainer()["fingerprint"]) for start in starts)


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ("9", r"training\.warm_start is 9, but .*demo has no such version: it can be 1, 2, 3\."),
        ("20260101-000000-demo", r"has no such run: `din runs` lists the runs\. Or train from random weights with --set"),
    ],
)
def test_what_is_not_there_is_one_sentence(workspace, choice, sentence):
    with pytest.raises(InputError, match=sentence):
        find(workspace, choice, "2026-11-26")


def test_a_served_version_whose_run_was_deleted_is_one_sentence(workspace):
    (workspace / "outputs" / SECOND / "model_run" / KERAS_FILE).unlink()
    with pytest.raises(
        InputError, match=f"Run {SECOND} has no trained model, or it was deleted, so no training can start from it"
    ) as error:
        find(workspace, "served", "2026-11-26")
    assert "--set training.warm_start=none" in str(error.value)


def test_a_version_of_an_older_release_does_not_say_its_run(workspace):
    (workspace / "serving" / "demo" / "2" / "pushed_by").unlink()
    with pytest.raises(InputError, match="does not say which run pushed it"):
        find(workspace, "served", "2026-11-26")
