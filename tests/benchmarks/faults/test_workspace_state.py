"""What `din bench faults` finds in workspaces that are broken by hand, and that it finds nothing in a sound one."""

import json

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from benchmarks.disk_use import disk_use
from benchmarks.faults import workspace_state
from benchmarks.faults.workspace_state import WorkspaceState
from components.serving.model.model_errors import LoadError
from components.serving.store.model_digest import write_digest
from components.serving.store.models_config import ServedModel, write_models_config
from components.serving.store.versions import write_pushed_by
from pipeline.records.metadata_store import open_store


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """Two versions that two runs pushed, the newer one stable, and a finished execution with its artifact."""

    class Loaded:
        def __init__(self, version, threads):
            if not (version / "saved_model.pb").exists():
                raise LoadError(5, "no saved_model.pb")

        def close(self):
            pass

    monkeypatch.setattr(workspace_state, "LoadedModel", Loaded)
    place = tmp_path / "workspace"
    base = place / "serving" / "demo"
    for version in (7, 8):
        folder = base / str(version)
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_text(f"model {version}")
        write_digest(folder, f"{version}" * 64)
        write_pushed_by(folder, f"run-{version}")
        run = place / "runs" / f"run-{version}"
        run.mkdir(parents=True)
        summary = {"run_id": run.name, "name": "demo", "status": "pushed", "exit_code": 0, "pushed_version": version}
        (run / "summary.json").write_text(json.dumps({**summary, "pushed_path": str(folder)}))
    write_models_config(base, ServedModel("demo", str(base), {"canary": 8, "stable": 8}), now=100)
    store = open_store(place / "metadata.sqlite")
    node = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
    (number,) = store.put_executions([mlmd.Execution(type_id=node, last_known_state=mlmd.Execution.COMPLETE)])
    output = place / "artifacts" / "demo" / "Trainer" / "model" / str(number)
    output.mkdir(parents=True)
    kind = store.put_artifact_type(mlmd.ArtifactType(name="Model"))
    store.put_artifacts([mlmd.Artifact(type_id=kind, uri=str(output), state=mlmd.Artifact.LIVE)])
    (tmp_path / "tmp").mkdir()
    return place


@pytest.fixture
def state(workspace):
    return WorkspaceState(workspace, workspace.parent / "tmp")


def test_a_sound_workspace_has_no_findings(state):
    assert state.after_kill() == [] and state.after_run() == []
    assert state.labels("demo") == {"canary": 8, "stable": 8} and state.labels("other") == {}


def test_a_workspace_that_was_never_made_has_no_findings(tmp_path):
    (tmp_path / "tmp").mkdir()
    state = WorkspaceState(tmp_path / "workspace", tmp_path / "tmp")
    assert state.after_run() == [] and state.bytes() == {}


def _half_a_version(base):
    (base / "9").mkdir()


def _version_is_gone(base):
    (base / "8" / "saved_model.pb").unlink()


def _no_link(base):
    (base / "served" / "100" / "8").unlink()


def _label_without_version(base):
    (base / "8").rename(base / "9")


def _cut_config(base):
    file = base / "models.config"
    file.write_text(file.read_text()[:40])


@pytest.mark.parametrize(
    ("break_it", "finding"),
    [
        (_half_a_version, "/9 cannot be loaded"),
        (_version_is_gone, "/8 cannot be loaded"),
        (_no_link, "models.config labels [8], which its folder of links 100 lacks"),
        (_label_without_version, "names version 8, which is not there"),
        (_cut_config, "models.config cannot be read"),
    ],
)
def test_a_broken_serving_folder_is_found(workspace, state, break_it, finding):
    break_it(workspace / "serving" / "demo")
    assert any(finding in found for found in state.after_kill())


def test_a_version_that_changes_is_found(workspace, state):
    assert state.after_kill() == []
    (workspace / "serving" / "demo" / "7" / "not_loaded").write_text("no server can load it")  # not a part of the model
    assert state.after_kill() == []
    (workspace / "serving" / "demo" / "7" / "saved_model.pb").write_text("other")
    assert [found for found in state.after_kill() if found.endswith("serving/demo/7 has changed")]


def test_a_version_that_no_run_or_two_runs_claim_is_found(workspace, state):
    first, second = (workspace / "runs" / f"run-{version}" / "summary.json" for version in (7, 8))
    second.write_text(second.read_text().replace('"pushed_version": 8', '"pushed_version": 7').replace("demo/8", "demo/7"))
    assert [found.partition("serving/")[2] for found in state.after_kill()] == [
        "demo/7 is claimed by 2 runs",
        "demo/8 was pushed, but no run claims it",
    ]
    second.write_text(second.read_text().replace('"pushed"', '"unchanged"'))  # a run may find that its model is served already
    assert [found for found in state.after_kill() if "is claimed by" in found] == []
    assert first.exists()


def test_a_store_that_offers_what_is_gone_or_is_damaged_is_found(workspace, state):
    (workspace / "artifacts" / "demo" / "Trainer" / "model" / "1").rmdir()
    assert any("the metadata store offers" in found for found in state.after_kill())
    (workspace / "metadata.sqlite").write_bytes(b"no database" * 1000)
    assert any("the metadata store cannot be read" in found for found in state.after_kill())


@pytest.mark.parametrize(
    ("place", "finding"),
    [
        ("workspace/artifacts/demo/Trainer/model/2/", "belongs to no artifact"),
        ("workspace/artifacts/demo/Trainer/.system/executor_execution/2/a", "was left"),
        ("workspace/artifacts/demo/Trainer/.system/stateful_working_dir/a/b", "was left"),
        ("workspace/serving/demo/.pushing-9/", "was left"),
        ("workspace/runs/run-7/.summary.json.part", "was left"),
        ("workspace/data/.din-unfinished-a/", "was left"),
        ("workspace/checkpoints/demo/state", "was left"),
        ("tmp/anything", "was left"),
        ("workspace/runs/run-9/", "has no summary"),
    ],
)
def test_what_a_finished_run_must_not_leave_is_found(workspace, state, place, finding):
    left = workspace.parent / place
    if place.endswith("/"):
        left.mkdir(parents=True)
    else:
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_text("x")
    assert state.after_kill() == []
    assert [found for found in state.after_run() if finding in found and str(left) in found]


def test_open_executions_and_runs_that_seem_to_go_on_are_found(workspace, state):
    store = open_store(workspace / "metadata.sqlite")
    (execution,) = store.get_executions()
    execution.last_known_state = mlmd.Execution.RUNNING
    store.put_executions([execution])
    run = workspace / "runs" / "run-9"
    run.mkdir()
    (run / "summary.json").write_text(json.dumps({"run_id": "run-9", "name": "demo", "status": "started"}))
    assert state.after_run() == ["executions [1] are open in the metadata store", f"{run} still says that it goes on"]


def test_the_nodes_that_a_run_has_done(workspace, state):
    store = open_store(workspace / "metadata.sqlite")
    kinds = {name: store.put_context_type(mlmd.ContextType(name=name)) for name in ("pipeline_run", "node")}
    trainer = store.get_execution_type("Trainer").id
    run, node, other = (
        mlmd.Context(type_id=kinds[kind], name=name)
        for kind, name in (("pipeline_run", "run-9"), ("node", "demo.Trainer"), ("node", "demo.ImportExampleGen.day=2026-11-24"))
    )
    for context, state_of in ((node, mlmd.Execution.RUNNING), (other, mlmd.Execution.CACHED)):
        store.put_execution(
            mlmd.Execution(type_id=trainer, last_known_state=state_of), [], [run, context], reuse_context_if_already_exist=True
        )
    assert state.done_nodes("run-9") == {"ImportExampleGen.day=2026-11-24"}
    assert state.done_nodes("run-0") == set()


def test_disk_use_counts_blocks_once(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 5000)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"x")
    assert disk_use(tmp_path) == (tmp_path / "a").stat().st_blocks * 512 + (tmp_path / "b" / "c").stat().st_blocks * 512
