"""What is gathered, and that a missing part does not affect the others."""

import json
import math

import keras
import pytest

from pipeline.report.gather import details
from pipeline.report.gather.details import describe_model, gather_details

PLACES = {
    *(("StatisticsGen", "statistics"), ("ImportSchemaGen", "schema"), ("ExampleValidator", "anomalies")),
    *(("DriftValidator", "figures"), ("Trainer", "model_run"), ("FeatureImportance", "importance")),
    ("Tuner", "tuner_results"),
}


class Outputs:
    """A store that knows the artifacts of every run except "refused". The artifacts need not exist."""

    def __init__(self, metadata, run_id):
        self._metadata, self._run_id = metadata, run_id

    def uri(self, node, key):
        return self._metadata / self._run_id / key if self._run_id != "refused" and (node, key) in PLACES else None


def describe(parts, schema, figures):
    assert [part.split for part in parts] == ["train", "validation", "eval"]
    places = [parts[0].statistics, parts[0].anomalies, schema, figures]
    return {"from": [place and str(place) for place in places], "top": [[b"\xff", 1]]}


@pytest.fixture
def parts(monkeypatch, tmp_path):
    """Replaces the parts by functions that return what they were given. The run "whole" and a model exist."""
    for _, key in PLACES:
        (tmp_path / "whole" / key).mkdir(parents=True)
    (tmp_path / "whole" / "importance" / "importance.json").write_text('{"examples": 3}')
    (tmp_path / "whole" / "tuner_results" / "trials.json").write_text('[{"auc": 0.7}]')
    (tmp_path / "model").mkdir()
    monkeypatch.setattr(details, "RunOutputs", Outputs)
    monkeypatch.setattr(details, "sample_attention", lambda model, files: [{"model": model.name, "files": files}])
    monkeypatch.setattr(details, "read_training_curves", lambda model_run: {"from": model_run.name, "auc": [0.5, math.nan, math.inf]})
    monkeypatch.setattr(details, "describe_data", describe)
    monkeypatch.setattr(details, "describe_model", lambda model: {"from": model.name})
    return monkeypatch


def test_parts_come_from_the_run_s_artifacts_as_plain_json(parts, tmp_path):
    gathered = gather_details(tmp_path, "whole", tmp_path / "model", ["a"])
    here = tmp_path / "whole"
    assert json.loads(json.dumps(gathered, allow_nan=False)) == {
        "attention": [{"model": "model", "files": ["a"]}],
        "importance": {"examples": 3},
        "training": {"from": "model_run", "auc": [0.5, None, None]},
        "tuning": [{"auc": 0.7}],
        "data": {
            "from": [str(here / "statistics"), str(here / "anomalies"), str(here / "schema"), str(here / "figures")],
            "top": [["\\xff", 1]],
        },
        "card": {"from": "model"},
        "failed": {},
    }


@pytest.mark.parametrize("run, model", [("refused", None), ("deleted", "deleted")])
def test_a_run_that_left_nothing(parts, tmp_path, run, model, caplog):
    nothing = {**dict.fromkeys(["attention", "importance", "training", "tuning", "data", "card"]), "failed": {}}
    assert gather_details(tmp_path, run, model and tmp_path / model, []) == nothing
    assert not caplog.records


class SpanOutputs(Outputs):
    """The store of a run of spans."""

    def uri(self, node, key):
        node, _, span = node.partition(".")
        if node in ("StatisticsGen", "ExampleValidator"):
            return self._metadata / "whole" / key if span in ("2026-11-23", "2026-11-24") else None
        return super().uri(node, key)


def test_spans_are_described_beside_each_other(parts, tmp_path):
    parts.setattr(details, "RunOutputs", SpanOutputs)
    parts.setattr(details, "describe_data", lambda data, schema, figures: {"parts": [(part.name, part.split) for part in data]})
    spans = ["2026-11-23", "2026-11-24", "2026-11-25"]  # the last one was not reached
    found = gather_details(tmp_path, "whole", None, [], spans)["data"]
    assert found == {"parts": [["2026-11-23", "impressions"], ["2026-11-24", "impressions"]]}


def test_deleted_artifacts_take_their_own_part_alone(parts, tmp_path):
    (tmp_path / "whole" / "anomalies").rmdir()
    (tmp_path / "whole" / "figures").rmdir()
    assert gather_details(tmp_path, "whole", None, [])["data"]["from"] == [
        str(tmp_path / "whole" / "statistics"), None, str(tmp_path / "whole" / "schema"), None,
    ]  # fmt: skip


def test_a_part_that_cannot_be_read_is_left_out_and_named(parts, tmp_path, caplog):
    def fail(*places):
        raise ValueError("damaged")

    parts.setattr(details, "describe_data", fail)
    parts.setattr(details, "sample_attention", fail)
    gathered = gather_details(tmp_path, "whole", tmp_path / "model", [])
    assert (gathered["attention"], gathered["data"]) == (None, None)
    assert gathered["training"] and gathered["card"]
    assert gathered["failed"] == {"attention": "ValueError: damaged", "data": "ValueError: damaged"}
    assert "damaged" in caplog.text


def test_facts_of_a_model(tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "din.json").write_text(json.dumps({"source": "abc", "parameters": 15}))
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    facts = describe_model(tmp_path)
    assert (facts["parameters"], facts["code"], facts["versions"]["keras"]) == (15, "abc", keras.__version__)
    assert facts["bytes"] == len(b"graph") + len('{"source": "abc", "parameters": 15}')
