"""The metadata store after kills: executions that stayed open, and the folders that they left."""

import shutil
import sqlite3

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.base.errors import InputError
from pipeline.records.metadata_store import close_killed_executions, delete_later_outputs, open_store, prepare_store
from pipeline.run.checks.check_environment import _LONGEST_DATABASE


@pytest.fixture
def workspace(tmp_path):
    """A workspace with a finished, a failed and a killed execution, 1 to 3, each with folders of its own."""
    store = open_store(tmp_path / "metadata.sqlite")
    node = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
    kind = store.put_artifact_type(mlmd.ArtifactType(name="Model"))
    for state in (mlmd.Execution.COMPLETE, mlmd.Execution.FAILED, mlmd.Execution.RUNNING):
        (number,) = store.put_executions([mlmd.Execution(type_id=node, last_known_state=state)])
        for folder in ("model", "model_run", ".system/executor_execution"):
            (tmp_path / "artifacts" / "demo" / "Trainer" / folder / str(number) / "3").mkdir(parents=True)
    (tmp_path / "artifacts" / "demo" / "Trainer" / ".system" / "stateful_working_dir" / "a").mkdir(parents=True)
    (tmp_path / "artifacts" / "demo" / "baseline" / "3" / "Format-Serving").mkdir(parents=True)
    finished = str(tmp_path / "artifacts" / "demo" / "Trainer" / "model" / "1")
    store.put_artifacts([mlmd.Artifact(type_id=kind, uri=finished, state=mlmd.Artifact.LIVE)])
    return tmp_path


def folders(workspace):
    trainer = workspace / "artifacts" / "demo" / "Trainer"
    return sorted(str(path.relative_to(trainer)) for path in [*trainer.glob("*/*/"), *trainer.glob(".system/*/*/")])


def states(workspace):
    return [execution.last_known_state for execution in open_store(workspace / "metadata.sqlite").get_executions()]


def test_a_killed_execution_is_closed_and_its_folders_are_deleted(workspace):
    before = folders(workspace)
    assert close_killed_executions(workspace / "metadata.sqlite", workspace / "artifacts") == 1
    assert states(workspace) == [mlmd.Execution.COMPLETE, mlmd.Execution.FAILED, mlmd.Execution.FAILED]
    gone = set(before) - set(folders(workspace))
    assert gone == {"model/3", "model_run/3", ".system/executor_execution/3", ".system/stateful_working_dir/a"}
    assert (workspace / "artifacts" / "demo" / "Trainer" / "model" / "1" / "3").exists()  # a folder inside an output
    assert (workspace / "artifacts" / "demo" / "baseline" / "3" / "Format-Serving").exists()
    assert close_killed_executions(workspace / "metadata.sqlite", workspace / "artifacts") == 0


def test_what_an_artifact_needs_is_never_deleted(workspace):
    """Even if its folder has the number of an execution that is open."""
    store = open_store(workspace / "metadata.sqlite")
    kind = store.get_artifact_type("Model").id
    for uri in ("model/3", "model_run/3/3"):
        needed = str(workspace / "artifacts" / "demo" / "Trainer" / uri)
        store.put_artifacts([mlmd.Artifact(type_id=kind, uri=needed, state=mlmd.Artifact.LIVE)])
    close_killed_executions(workspace / "metadata.sqlite", workspace / "artifacts")
    assert {"model/3", "model_run/3"} <= set(folders(workspace)) and ".system/executor_execution/3" not in folders(workspace)


def test_a_workspace_without_runs_has_nothing_to_close(tmp_path):
    assert close_killed_executions(tmp_path / "metadata.sqlite", tmp_path / "artifacts") == 0


@pytest.mark.parametrize("longer", [0, 1])
def test_the_longest_path_of_a_store(tmp_path, longer):
    """`din run` refuses longer paths before it begins (case 22)."""
    length = _LONGEST_DATABASE + longer
    folder = tmp_path / ("x" * 200) / ("y" * (length - len(str(tmp_path)) - len("/metadata.sqlite") - 202))
    folder.mkdir(parents=True)
    assert len(str(folder / "metadata.sqlite")) == length
    if longer:
        with pytest.raises(RuntimeError, match="unable to open database file"):
            open_store(folder / "metadata.sqlite")
    else:
        assert open_store(folder / "metadata.sqlite").get_executions() == []


@pytest.mark.parametrize("keep", [0, 20_000])
def test_a_damaged_store_is_one_sentence(workspace, keep):
    file = workspace / "metadata.sqlite"
    file.write_bytes(file.read_bytes()[:keep] + (b"" if keep else b"no database" * 1000))
    with pytest.raises(InputError, match=r"metadata\.sqlite \((file is not a database|database disk image is malformed)\): restore it"):
        close_killed_executions(file, workspace / "artifacts")


def test_damage_in_the_middle_of_a_store_is_found_when_it_is_opened(workspace):
    """ML Metadata opens such a file without a word, and fails in the middle of a run."""
    file = workspace / "metadata.sqlite"
    content = bytearray(file.read_bytes())
    content[-3 * 4096 : -4096] = bytes(2 * 4096)
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"metadata\.sqlite \(.*malformed.*\): restore it"):
        prepare_store(file, "")


def test_a_store_of_another_release_of_ml_metadata_is_one_sentence(workspace):
    file = workspace / "metadata.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("UPDATE MLMDEnv SET schema_version = 99")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match=r"metadata\.sqlite was written by another release of ml-metadata: name another workspace"):
        prepare_store(file, "")


def test_what_a_killed_writer_left_unfinished_is_undone(workspace):
    """A copy of the file and of its journal, made in the middle of a transaction, is what a kill leaves."""
    file = workspace / "metadata.sqlite"
    writer = sqlite3.connect(file)
    writer.execute("PRAGMA cache_size = 1")  # so that changes reach the file before the commit
    writer.execute("BEGIN")
    writer.executemany("INSERT INTO Execution (type_id, last_known_state) VALUES (?, ?)", [(1, 3)] * 2000)
    killed = workspace / "killed.sqlite"
    shutil.copy(file, killed)
    shutil.copy(f"{file}-journal", f"{killed}-journal")
    writer.close()
    assert killed.stat().st_size > file.stat().st_size
    prepare_store(killed, "")
    assert len(open_store(killed).get_executions()) == 3


def test_outputs_that_a_new_store_does_not_know_are_deleted(workspace):
    """TFX numbers the executions of a new store from 1 on, and would write new outputs among old files."""
    metadata, artifacts = workspace / "metadata.sqlite", workspace / "artifacts"
    trainer = artifacts / "demo" / "Trainer"
    (trainer / "model" / "4").mkdir()
    (trainer / ".system" / "driver_execution" / "1795802621862286").mkdir(parents=True)
    assert delete_later_outputs(metadata, artifacts) == 1
    assert not list(trainer.glob(".system/*/*"))
    assert sorted(trainer.glob("[a-z]*/*")) == [trainer / key / str(number) for key in ("model", "model_run") for number in (1, 2, 3)]
    metadata.unlink()
    assert delete_later_outputs(metadata, artifacts) == 6
    assert not list(trainer.glob("[a-z]*/*"))
    assert (artifacts / "demo" / "baseline" / "3" / "Format-Serving").exists()
