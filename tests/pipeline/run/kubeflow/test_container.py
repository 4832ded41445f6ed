"""A container of a compiled pipeline: its artifacts are in a store, and what it refuses is one sentence and an exit status."""

import json
from pathlib import Path

import pytest

from pipeline.configuration.load_config import load_config
from pipeline.run.kubeflow import container
from pipeline.runners import kubeflow_artifacts

CONFIG = load_config("demo").model_dump_json()


@pytest.fixture(autouse=True)
def pod(tmp_path, monkeypatch) -> Path:
    """Where the launcher would bring the files of a MinIO store. The signals of the test's own process stay as they are."""
    monkeypatch.setattr(kubeflow_artifacts, "_MOUNTED", {"minio": str(tmp_path / "minio")})
    monkeypatch.setattr(container, "interrupt_on_sigterm", lambda: None)
    return tmp_path / "minio"


def executor_input(pod: Path, **output: str) -> str:
    outputs = {name: {"artifacts": [{"uri": uri}]} for name, uri in output.items()}
    prepared = {"artifacts": [{"uri": "minio://bucket/prepared"}]}
    return json.dumps({"inputs": {"artifacts": {"prepared": prepared}}, "outputs": {"artifacts": outputs, "outputFile": f"{pod}/out.json"}})


def prepared(pod: Path, baseline: Path | None) -> None:
    definition = {"outputDefinitions": {"artifacts": {"result": {"metadata": {"tfx_version": "1.21.0"}}}}}
    content = {"spec": {"components": {"Baseline": definition}}, "baseline": str(baseline) if baseline else None}
    (pod / "bucket" / "prepared").mkdir(parents=True)
    (pod / "bucket" / "prepared" / "prepared.json").write_text(json.dumps(content))


def test_the_baseline_is_copied_into_its_artifact(pod, tmp_path):
    version = tmp_path / "serving" / "7"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_text("graph")
    link = tmp_path / "baseline" / "7" / "Format-Serving"
    link.parent.mkdir(parents=True)
    link.symlink_to(version)
    prepared(pod, link.parent)
    (pod / "bucket" / "result").mkdir()
    (pod / "bucket" / "result" / "left by a first try").touch()
    assert container.main(["--node", "Baseline", "--executor-input", executor_input(pod, result="minio://bucket/result")]) == 0
    copied = pod / "bucket" / "result" / "Format-Serving"
    assert (copied / "saved_model.pb").read_text() == "graph" and not copied.is_symlink()
    assert [path.name for path in (pod / "bucket" / "result").iterdir()] == ["Format-Serving"]
    put_out = json.loads((pod / "out.json").read_text())
    (artifact,) = put_out["artifacts"]["result"]["artifacts"]
    assert artifact == {"uri": "minio://bucket/result", "metadata": {"tfx_version": "1.21.0"}}


def test_before_the_first_push_the_baseline_is_an_empty_artifact(pod):
    prepared(pod, None)
    assert container.main(["--node", "Baseline", "--executor-input", executor_input(pod, result="minio://bucket/result")]) == 0
    assert [path.name for path in (pod / "bucket" / "result").iterdir()] == ["none.txt"]


def test_a_node_that_the_image_does_not_know_is_refused(pod, capsys):
    prepared(pod, None)
    assert container.main(["--node", "Judge", "--executor-input", executor_input(pod)]) == 2
    assert capsys.readouterr().err.startswith("din: this run has no node 'Judge': compile the pipeline again")


def test_bad_data_ends_the_first_container(pod, tmp_path, capsys):
    """Nothing is trained on data that `din run` would refuse: the same sentence, and exit status 2."""
    split = tmp_path / "data" / "train"
    split.mkdir(parents=True)
    (split / "part.tfrecord.gz").write_bytes(b"no TFRecord")
    asked = json.loads(executor_input(pod, prepared="minio://bucket/prepared"))
    asked["inputs"]["parameterValues"] = {"data": str(tmp_path / "data"), "workspace": str(tmp_path / "workspace"), "name": "demo"}
    command = ["--node", "Prepare", "--run", "1", "--config", CONFIG, "--executor-input", json.dumps(asked)]
    assert container.main(command) == 2
    assert str(split / "part.tfrecord.gz") in capsys.readouterr().err
    asked["inputs"]["parameterValues"]["name"] = "../elsewhere"
    assert container.main([*command[:-1], json.dumps(asked)]) == 2
    assert "name" in capsys.readouterr().err


def test_days_are_left_to_a_scheduler(pod, tmp_path, capsys):
    (tmp_path / "data" / "day=2026-11-24").mkdir(parents=True)
    asked = json.loads(executor_input(pod, prepared="minio://bucket/prepared"))
    asked["inputs"]["parameterValues"] = {"data": str(tmp_path / "data"), "workspace": str(tmp_path / "workspace"), "name": "demo"}
    assert container.main(["--node", "Prepare", "--run", "1", "--config", CONFIG, "--executor-input", json.dumps(asked)]) == 2
    assert "holds spans, which only din run reads" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metadata", "code", "out", "err"),
    [
        (
            {"pushed": 1, "pushed_destination": "/w/7", "not_checked": "None asked."},
            0,
            "Pushed: /w/7.\nNone asked.\n",
            "",
        ),
        (
            {"pushed": 1, "pushed_destination": "/w/7", "not_published": "It is full."},
            1,
            "Pushed: /w/7.\n",
            "din: It is full.\n",
        ),
        ({"pushed": 0, "refused_because": "another version is stable."}, 3, "", "din: refused: another version is stable.\n"),
        ({"pushed": 0}, 3, "", "din: refused: auc is 0.6.\n"),
    ],
)
def test_the_last_container_ends_as_the_run(tmp_path, capsys, metadata, code, out, err):
    (tmp_path / "verdict.json").write_text(json.dumps({"refused_because": "auc is 0.6."}))
    put_out = {"artifacts": {"pushed_model": {"artifacts": [{"metadata": metadata}]}}}
    assert container._pushed({"model_blessing": {"uri": str(tmp_path)}}, put_out) == code
    assert capsys.readouterr() == (out, err)
