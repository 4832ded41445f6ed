"""Which earlier run the data is compared with, and which log of requests."""

import pytest

from components.base.errors import InputError
from components.serving.store.versions import write_rolled_back
from pipeline.records.summary import Summary
from pipeline.run.inputs import compared_data
from pipeline.run.inputs.compared_data import find_previous, find_requests


class Outputs:
    """Every run except "deleted" has statistics."""

    def __init__(self, metadata, run_id):
        self._folder = metadata.parent / "statistics" / run_id

    def uri(self, node, key):
        assert key == "statistics"
        return self._folder if node == "StatisticsGen" else None


def previous(workspace, fingerprint):
    found = find_previous(workspace, "demo", fingerprint)
    return found and found.name.removeprefix("train/ of run ")


def test_it_is_the_last_pushed_run_of_this_name_that_read_other_data(tmp_path, monkeypatch):
    monkeypatch.setattr(compared_data, "RunOutputs", Outputs)
    runs = [
        ("1-good", "pushed", "a", "demo"), ("2-good", "pushed", "b", "demo"), ("3-same", "pushed", "c", "demo"),
        ("4-refused", "refused", "d", "demo"), ("5-other", "pushed", "e", "movies"), ("6-deleted", "pushed", "f", "demo"),
        ("7-old", "pushed", None, "demo"), ("8-stopped", "interrupted", "g", "demo"),
    ]  # fmt: skip
    for version, (run_id, status, data, name) in enumerate(runs):
        summary = Summary(run_id=run_id, name=name, data_fingerprint=data, pushed_version=version)
        summary.end(status, None)
        (tmp_path / "runs" / run_id).mkdir(parents=True)
        summary.write(tmp_path)
        if "deleted" not in run_id:
            (tmp_path / "statistics" / run_id).mkdir(parents=True)
    assert previous(tmp_path, "c") == "2-good"
    assert previous(tmp_path, "b") == "3-same"
    (tmp_path / "serving" / "demo" / "1").mkdir(parents=True)
    write_rolled_back(tmp_path / "serving" / "demo", {1})
    assert previous(tmp_path, "c") == "1-good"


def test_a_run_of_a_day_without_splits_is_known_by_the_statistics_of_the_day(tmp_path, monkeypatch):
    """A day that is split by time has nothing older in its own run to be compared with."""

    class OfDay(Outputs):
        def uri(self, node, key):
            return self._folder if node == "StatisticsGen.2026-11-24" else None

    monkeypatch.setattr(compared_data, "RunOutputs", OfDay)
    summary = Summary(run_id="1-day", name="demo", data_fingerprint="a", pushed_version=1, span="2026-11-24")
    summary.end("pushed", None)
    for folder in ("runs", "statistics"):
        (tmp_path / folder / "1-day").mkdir(parents=True)
    summary.write(tmp_path)
    assert find_previous(tmp_path, "demo", "b") == ("2026-11-24 of run 1-day", tmp_path / "statistics" / "1-day", "impressions")


def test_the_first_run_has_nothing_to_compare_with(tmp_path):
    (tmp_path / "runs").mkdir()
    assert previous(tmp_path, "a") is None


def test_a_log_is_known_by_its_content(tmp_path):
    assert find_requests("") is None
    with pytest.raises(InputError, match="nowhere is not there: `requests` names a folder of logged requests"):
        find_requests(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="holds no log of requests"):
        find_requests(str(tmp_path))
    (tmp_path / "a.tfrecord").write_bytes(b"1")
    first = find_requests(str(tmp_path))
    (tmp_path / "a.tfrecord").write_bytes(b"2")
    assert first.fingerprint != find_requests(str(tmp_path)).fingerprint
