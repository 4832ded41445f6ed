"""What a cleaning deletes, what it never deletes, and what a killed one leaves."""

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

import pipeline.housekeeping.clean as cleaning
from components.base.errors import InputError
from components.base.file_lock import hold_lock
from pipeline.cli.main import main
from pipeline.housekeeping.clean import clean, clean_after_run
from pipeline.housekeeping.cleaning_plan import plan_cleaning
from pipeline.records.metadata_store import RunOutputs, open_store
from pipeline.records.run_list import METADATA_FILE, read_summaries
from tests.pipeline.housekeeping.workspaces import FIRST, Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace")


def tidy(workspace, keep=1, **limits):
    """Cleans, and returns what was deleted: its path in the workspace by kind."""
    plan = plan_cleaning(workspace.folder, keep, **limits)
    clean(workspace.folder, plan)
    found = {}
    for removal in plan.removals:
        assert not os.path.lexists(removal.path)
        found.setdefault(removal.kind, set()).add(str(removal.path.relative_to(workspace.folder)))
    return found


def daily_runs(workspace, days=3):
    """Runs whose data comes from the cache from the second on. Returns the ids, the data and the models."""
    runs, models, data = [], [], None
    for _ in range(days):
        runs.append(workspace.run())
        data = workspace.execution(runs[-1], "ImportExampleGen", cached_from=data)
        models.append(workspace.execution(runs[-1], "Trainer", [data]))
    return runs, data, models


def test_an_old_run_goes_with_what_only_it_used(workspace):
    runs, data, models = daily_runs(workspace)
    assert tidy(workspace) == {
        "run": {f"runs/{run}" for run in runs[:2]},
        "artifact": {str(Path("artifacts/demo/Trainer/out") / number) for number in ("2", "4")},
    }
    assert workspace.runs() == {runs[2]} and workspace.live() == {data, models[2]}
    assert [run.run_id for run in read_summaries(workspace.folder)] == [runs[2]]


def test_the_cache_of_the_last_run_stays(workspace):
    """The data was imported by the first run, which goes; the last run had it from the cache, and the next one will."""
    runs, data, models = daily_runs(workspace)
    tidy(workspace)
    outputs = RunOutputs(workspace.folder / METADATA_FILE, runs[2])
    assert outputs.uri("ImportExampleGen", "out") == workspace.place(data) and workspace.place(data).is_dir()
    assert outputs.uri("Trainer", "out") == workspace.place(models[2]) and workspace.place(models[2]).is_dir()
    store = open_store(workspace.folder / METADATA_FILE)
    (cache,) = [context for context in store.get_contexts_by_type("execution_cache") if "ImportExampleGen" in context.name]
    (cached,) = store.get_executions_by_context(cache.id)  # where TFX looks for it
    assert cached.last_known_state == mlmd.Execution.CACHED
    (event,) = store.get_events_by_execution_ids([cached.id])
    assert (event.artifact_id, event.type, event.path.steps[0].key) == (data, mlmd.Event.OUTPUT, "out")


def test_the_rows_of_old_runs_go(workspace):
    """No row is left that belongs to nothing, and no number is used again."""
    daily_runs(workspace)
    tidy(workspace)
    assert workspace.executions() == 2
    store = open_store(workspace.folder / METADATA_FILE)
    assert len(store.get_artifacts()) == 2 and len(store.get_contexts()) == 5  # the run, two caches, two nodes
    rows = count_rows(workspace)
    assert rows["Event"] == rows["EventPath"] + 1 == 3  # the input has no path here
    assert (rows["ExecutionProperty"], rows["ArtifactProperty"], rows["Association"]) == (2, 2, 6)
    assert rows["Attribution"] == 6
    assert workspace.place(workspace.execution(workspace.run(), "Trainer")).name == "7"


def count_rows(workspace):
    import sqlite3
    from contextlib import closing

    tables = ("Event", "EventPath", "ExecutionProperty", "ArtifactProperty", "Association", "Attribution")
    with closing(sqlite3.connect(workspace.folder / METADATA_FILE)) as store:
        return {table: store.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def test_what_made_a_served_version_stays(workspace):
    first = workspace.run(pushed=1000)
    model = workspace.execution(first, "Trainer")
    for _ in range(3):
        workspace.run()
    assert tidy(workspace).keys() == {"run"}
    assert first in workspace.runs() and workspace.live() == {model}
    assert (workspace.folder / "serving" / "demo" / "1000" / "saved_model.pb").exists()


def test_versions_are_never_deleted(workspace):
    """Labelled or not: a push decides about versions (serving.keep)."""
    for number in (7, 8, 9):
        workspace.version("demo", number)
    workspace.run()
    tidy(workspace)
    assert sorted(path.name for path in (workspace.folder / "serving" / "demo").glob("[0-9]*")) == ["7", "8", "9"]


def test_a_baseline_of_any_name_stays(workspace):
    """Another name compares its models with an output of this one."""
    first = workspace.run()
    model = workspace.execution(first, "Trainer")
    other = workspace.run("other", baseline={"version": None, "path": str(workspace.place(model) / "Format-Serving")})
    workspace.run()
    assert tidy(workspace) == {"run": {f"runs/{first}"}}
    assert workspace.live() == {model} and other in workspace.runs()


def test_what_a_configuration_names_stays(workspace):
    """A schema that a run inferred, and that the user named in the configuration afterwards; a model below artifacts/ as the baseline."""
    first = workspace.run()
    model = workspace.execution(first, "Trainer")
    schema = workspace.folder / "schemas" / "demo-aaaaaaaaaaaa.pbtxt"
    schema.parent.mkdir()
    schema.touch()
    last = workspace.run()
    config = {"data_schema": {"file": str(schema)}, "evaluation": {"baseline": str(workspace.place(model))}}
    (workspace.folder / "runs" / last / "config.json").write_text(json.dumps(config))
    assert tidy(workspace) == {"run": {f"runs/{first}"}}
    assert schema.exists() and workspace.place(model).is_dir()


def test_the_link_of_a_baseline_stays_as_long_as_its_version(workspace):
    """TFX's Importer takes a known artifact again, even one that is marked as deleted, so such a row must not be made."""
    workspace.run(pushed=1000)
    workspace.version("demo", 999)
    for place in ("998", "999", "model-0123456789ab"):
        (workspace.folder / "artifacts" / "demo" / "baseline" / place / "Format-Serving").mkdir(parents=True)
    assert tidy(workspace) == {"orphan": {"artifacts/demo/baseline/998"}}


def test_synthetic_data_schemas_and_facts_of_old_runs_go(workspace):
    data, schemas, checks = (workspace.folder / name for name in ("data", "schemas", "checks"))
    for folder in ("synthetic-a", "synthetic-b", "mine"):
        (data / folder).mkdir(parents=True)
        (data / folder / "manifest.json").write_text("{}")
    for folder, names in ((schemas, ("demo-a.pbtxt", "demo-b.pbtxt")), (checks, ("demo-a.json", "demo-b.json", "gone-a.json"))):
        folder.mkdir()
        for name in names:
            (folder / name).write_text("{}")
    workspace.run(data=str(data / "synthetic-a"), schema_path=str(schemas / "demo-a.pbtxt"))
    workspace.run(data=str(data / "synthetic-b"), schema_path=str(schemas / "demo-b.pbtxt"))
    moment = (FIRST + timedelta(hours=1)).timestamp()
    os.utime(checks / "demo-a.json", (moment, moment))  # written by the first run
    assert tidy(workspace) == {
        "run": {"runs/20251101-090000-demo"},
        "synthetic data": {"data/synthetic-a"},
        "schema": {"schemas/demo-a.pbtxt"},
        "check facts": {"checks/demo-a.json", "checks/gone-a.json"},
    }
    assert tidy(workspace) == {}


@pytest.mark.parametrize("name", ["demo", "demo.tuner"])
@pytest.mark.parametrize("evaluated", [True, False])
def test_the_state_of_a_training_or_a_search_stays_until_a_later_run_was_evaluated(workspace, evaluated, name):
    state = workspace.folder / "checkpoints" / name / "0123456789abcdef" / "last"
    state.mkdir(parents=True)
    (state / "ckpt").touch()
    workspace.run()
    workspace.run(evaluated=evaluated)
    assert ("checkpoint" in tidy(workspace, 5)) == evaluated


def test_what_kills_left_goes(workspace):
    """Half copies of versions, temporary files, unfinished data, open executions and their outputs, and outputs without a row."""
    run = workspace.run()
    model = workspace.execution(run, "Trainer")
    workspace.execution(run, "Trainer", state=mlmd.Execution.RUNNING)
    store = open_store(workspace.folder / METADATA_FILE)
    (unfinished,) = [artifact for artifact in store.get_artifacts() if artifact.id != model]
    unfinished.state = mlmd.Artifact.PENDING
    store.put_artifacts([unfinished])
    for place in ("artifacts/demo/Trainer/out/77/a", "artifacts/demo/Trainer/.system/executor_execution/2/a", "data/.din-unfinished-x"):
        (workspace.folder / place).mkdir(parents=True)
    (workspace.folder / "data" / ".din-unfinished-x" / ".lock").touch()
    for place in (".latest.json.part", f"runs/{run}/.report.html.part", "serving/demo/.pushing-9", "serving/demo/.models.config.part"):
        (workspace.folder / place).parent.mkdir(parents=True, exist_ok=True)
        (workspace.folder / place).touch()
    shutil.copytree(workspace.folder / "runs" / run, workspace.folder / ".removing-20250101-000000-demo")
    (workspace.folder / "artifacts" / "demo" / "Trainer" / "mine").mkdir()  # nothing that TFX or a run makes
    found = tidy(workspace)
    assert found["orphan"] == {"artifacts/demo/Trainer/out/2", "artifacts/demo/Trainer/out/77"}
    assert {Path(path).name for path in found["leftover"]} == {
        ".system",
        ".din-unfinished-x",
        ".latest.json.part",
        ".report.html.part",
        ".pushing-9",
        ".models.config.part",
        ".removing-20250101-000000-demo",
    }
    assert workspace.live() == {model}
    states = [execution.last_known_state for execution in open_store(workspace.folder / METADATA_FILE).get_executions()]
    assert states == [mlmd.Execution.COMPLETE, mlmd.Execution.FAILED]
    assert (workspace.folder / "artifacts" / "demo" / "Trainer" / "mine").exists()


def test_unfinished_work_of_a_living_process_stays(workspace):
    workspace.run()
    folder = workspace.folder / "data" / ".din-unfinished-y"
    folder.mkdir(parents=True)
    with hold_lock(folder / ".lock"):
        assert tidy(workspace) == {}
    assert folder.exists()


def test_an_artifact_whose_files_are_gone_is_marked(workspace):
    run = workspace.run()
    gone, model = workspace.execution(run, "ImportExampleGen"), workspace.execution(run, "Trainer")
    shutil.rmtree(workspace.place(gone))
    tidy(workspace)
    assert workspace.live() == {model}


def test_outputs_of_another_workspace_are_never_deleted(workspace, tmp_path):
    """A copied workspace has a store that names the outputs of the original."""
    _, data, models = daily_runs(workspace)
    shutil.copytree(workspace.folder, tmp_path / "copy")
    plan = plan_cleaning(tmp_path / "copy", 1)
    clean(tmp_path / "copy", plan)
    assert all(workspace.place(artifact).is_dir() for artifact in (data, *models))
    assert all((tmp_path / "copy") in removal.path.parents for removal in plan.removals)


def test_a_workspace_behind_a_link_is_the_same(workspace, tmp_path):
    """The store has the path by which a run named the workspace."""
    daily_runs(workspace)
    (tmp_path / "link").symlink_to(workspace.folder)
    assert {removal.kind for removal in plan_cleaning(tmp_path / "link", 5).removals} == set()


def test_without_a_store_no_output_is_judged(workspace):
    daily_runs(workspace)
    (workspace.folder / METADATA_FILE).unlink()
    assert tidy(workspace).keys() == {"run"}


@pytest.mark.parametrize("step", range(1, 14))
def test_a_killed_cleaning_leaves_a_workspace_that_works(workspace, monkeypatch, step):
    """It ends after each of its steps in turn; the next cleaning does the rest. Half of a run, or of an artifact, is never there."""
    runs, data, models = daily_runs(workspace, 4)
    old_data = workspace.folder / "data" / "synthetic-a"
    old_data.mkdir(parents=True)
    (old_data / "manifest.json").touch()
    (workspace.folder / "artifacts" / "demo" / "Trainer" / "out" / "77").mkdir()
    left = step

    class Killed(BaseException):
        pass

    def counted(function):
        def call(*args, **kwargs):
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return function(*args, **kwargs)

        return call

    with monkeypatch.context() as patched:
        for name in ("mark_deleted", "delete_rows", "close_killed_executions", "forget_missing_artifacts"):
            patched.setattr(cleaning, name, counted(getattr(cleaning, name)))
        patched.setattr(cleaning.shutil, "rmtree", counted(shutil.rmtree))
        patched.setattr(Path, "rename", counted(Path.rename))
        with pytest.raises(Killed):
            clean(workspace.folder, plan_cleaning(workspace.folder, 1))
    for summary in read_summaries(workspace.folder):
        assert summary.status == "refused"  # whole, and no run that seems to have been killed
    assert all((folder / "manifest.json").exists() for folder in (workspace.folder / "data").iterdir())
    assert all((workspace.place(artifact) / "data").exists() for artifact in workspace.live())
    tidy(workspace)
    assert workspace.runs() == {runs[3]} and workspace.live() == {data, models[3]} and workspace.executions() == 2
    assert not list(workspace.folder.glob(".removing-*")) and not (workspace.folder / "artifacts/demo/Trainer/out/77").exists()


def test_a_full_disk_gets_room_before_anything_is_written(workspace, monkeypatch):
    runs, *_ = daily_runs(workspace)

    def full(*args):
        raise InputError("the disk is full")

    for name in ("record_killed", "close_killed_executions", "mark_deleted", "forget_missing_artifacts", "delete_rows"):
        monkeypatch.setattr(cleaning, name, full)
    with pytest.raises(InputError):
        clean(workspace.folder, plan_cleaning(workspace.folder, 1))
    assert workspace.runs() == {runs[2]}


def test_after_a_run_the_newest_of_its_name_stay(workspace):
    """With all leftovers; runs of other names stay, whatever their number."""
    others = [workspace.run("other") for _ in range(3)]
    runs, *_ = daily_runs(workspace, 4)
    sentence = clean_after_run(workspace.folder, 2, "demo")
    assert workspace.runs() == {*runs[2:], *others}
    size = 2 * (1000 + len((workspace.folder / "runs" / runs[3] / "summary.json").read_text()) + 100)
    assert sentence == (
        f"Deleted, because nothing needs it any more (workspace.keep_runs is 2): 2 runs, 2 artifacts; {size / 1000:.3g} kB."
    )
    assert clean_after_run(workspace.folder, 2, "demo") == ""


def test_the_bytes_of_many_runs_are_bounded(workspace):
    """Two data sets that alternate, a push each second run: from the 8th run on nothing grows, neither files nor rows."""
    sizes, rows, data = [], [], {}
    for day in range(24):
        run = workspace.run(pushed=1000 + day if day % 2 else None)
        for old in sorted((workspace.folder / "serving").glob("demo/[0-9]*"))[:-3]:
            shutil.rmtree(old)
        data[day % 2] = workspace.execution(run, "ImportExampleGen", inputs=(), cached_from=data.get(day % 2))
        workspace.execution(run, "Trainer", [data[day % 2]])
        clean_after_run(workspace.folder, 4, "demo")
        sizes.append(sum(file.stat().st_size for place in ("runs", "artifacts") for file in (workspace.folder / place).rglob("*")
                         if file.is_file()))  # fmt: skip
        rows.append(sum(count_rows(workspace).values()))
    assert max(sizes[12:]) <= max(sizes[:12]) and max(rows[12:]) <= max(rows[:12])
    assert len(workspace.runs()) == 5 and workspace.executions() == 10  # the newest four, and that of an older version


def test_a_folder_that_is_no_workspace_is_left_alone(tmp_path):
    for place in ("checkpoints/model/1", "artifacts/a/b/c/1", "data/synthetic-1"):
        (tmp_path / place).mkdir(parents=True)
    with pytest.raises(InputError, match="has no runs, so nothing in it is deleted: name a workspace with --workspace"):
        plan_cleaning(tmp_path, 1)
    assert (tmp_path / "checkpoints" / "model" / "1").exists()


def test_the_command_shows_first_and_deletes_then(workspace, capsys):
    runs, *_ = daily_runs(workspace)
    where = ["clean", "--workspace", str(workspace.folder), "--keep", "1"]
    assert main([*where, "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert len(workspace.runs()) == 3 and planned["dry_run"] and planned["kept_runs"] == [runs[2]]
    assert main(where) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == [removal["path"] for removal in planned["deleted"]]
    assert sum(removal["bytes"] for removal in planned["deleted"]) == planned["bytes"] > 2000
    assert last == f"Deleted {planned['bytes'] / 1000:.3g} kB: 2 runs, 2 artifacts. Runs that stay: 1."
    assert len(workspace.runs()) == 1
    assert main([*where, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"dry_run": False, "deleted": [], "bytes": 0, "kept_runs": [runs[2]]}


def test_the_limits_of_the_command(workspace, capsys):
    runs = [workspace.run() for _ in range(25)]  # the first three weeks ago and more
    where = ["clean", "--workspace", str(workspace.folder), "--dry-run", "--json"]

    def stay(*options):
        assert main([*where, *options]) == 0
        return json.loads(capsys.readouterr().out)["kept_runs"]

    assert stay() == runs[5:]
    assert stay("--keep", "3") == runs[22:]
    assert stay("--older-than", "9999w") == runs
    assert stay("--older-than", "0h") == runs[24:]
    assert main([*where, "--keep", "0"]) == 2
    assert "--keep is 0: the newest run of each name always stays, so give at least 1." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*where, "--older-than", "soon"])
    assert "'soon' is no age: write a number and h, d or w, e.g. 30d" in capsys.readouterr().err


def test_it_waits_for_no_run(workspace, capsys):
    workspace.run()
    with hold_lock(workspace.folder / ".lock"):
        assert main(["clean", "--workspace", str(workspace.folder)]) == 2
    assert "Another run is using" in capsys.readouterr().err
