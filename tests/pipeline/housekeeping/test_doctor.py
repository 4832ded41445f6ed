"""What `din doctor` finds, and that the command it names ends each finding."""

import errno
import json
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

import pipeline.housekeeping.check_machine as machine
from components.base.file_lock import hold_lock
from components.serving.store.models_config import MODELS_CONFIG, ServedModel, write_models_config
from components.serving.store.versions import write_rolled_back, write_servers
from pipeline.cli.main import main
from pipeline.housekeeping.doctor import diagnose
from pipeline.records.run_list import METADATA_FILE
from tests.pipeline.housekeeping.workspaces import Workspace


@pytest.fixture
def workspace(tmp_path):
    """A workspace with a run and a served version."""
    workspace = Workspace(tmp_path / "work space")
    run = workspace.run(pushed=1000)
    workspace.execution(run, "Trainer")
    label(workspace, 1000)
    return workspace


def label(workspace, version):
    base = workspace.folder / "serving" / "demo"
    write_models_config(base, ServedModel("demo", str(base), {"stable": version, "canary": version}))


def findings(workspace):
    return [finding for finding in diagnose(workspace.folder).findings if finding.where != "environment"]


def only(workspace):
    (finding,) = findings(workspace)
    return finding


def end(finding):
    """Types the command: `din` in this process, others in a shell."""
    program, *words = shlex.split(finding.command)
    if program == "din":
        assert main(words) == 0
    else:
        subprocess.run(finding.command, shell=True, check=True)


def test_nothing_is_wrong(workspace, capsys):
    assert main(["doctor", "--workspace", str(workspace.folder)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "Nothing is wrong." and "glibc" in out and "tensorflow 2." in out and "1 of demo" in out


def test_no_workspace_yet(tmp_path, capsys):
    assert main(["doctor", "--workspace", str(tmp_path / "new"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] and found["findings"] == [] and "din run makes it" in found["facts"]["workspace"]
    assert not (tmp_path / "new").exists()


def test_an_engine_is_looked_at_when_it_is_named(tmp_path, capsys):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        settings = [f"--set=beam.{name}={address}" for name in ("job_server", "workers")]
        words = ["doctor", "--workspace", str(tmp_path / "new"), "--engine", "flink", *settings]
        assert main([*words, "--json"]) == 1
        found = json.loads(capsys.readouterr().out)
        assert found["facts"]["engine"] == "flink" and [finding["where"] for finding in found["findings"]] == ["engine", "engine"]
        assert found["findings"][0] == {
            "where": "engine",
            "what": f"The Beam job server at {address} does not answer: start it, or correct beam.job_server.",
            "command": "deploy/clusters/flink.sh start",
        }
        assert main(words) == 1
    assert f"engine: The pool of Python workers at {address} does not answer" in capsys.readouterr().out


def test_a_killed_run(workspace):
    run = workspace.run(evaluated=False, status="started")
    finding = only(workspace)
    assert finding.what == f"Run {run}: its process was killed before it pushed a model."
    end(finding)
    assert findings(workspace) == []


def test_a_run_that_goes_on_is_not_wrong(workspace):
    workspace.execution(workspace.run(), "Trainer", state=mlmd.Execution.RUNNING)
    with hold_lock(workspace.folder / ".lock"):
        assert findings(workspace) == []
        assert "in use by a run" in diagnose(workspace.folder).facts["workspace"]


def test_open_executions(workspace):
    workspace.execution(workspace.run(), "Trainer", state=mlmd.Execution.RUNNING)
    finding = only(workspace)
    assert finding.where == "metadata" and finding.what.startswith("Executions that a killed run left open: 1.")
    end(finding)
    assert findings(workspace) == []


def test_outputs_without_a_row_and_rows_without_outputs(workspace):
    (workspace.folder / "artifacts" / "demo" / "Trainer" / "out" / "77").mkdir()
    gone = workspace.execution(workspace.run(), "Trainer")
    shutil.rmtree(workspace.place(gone))
    rows, outputs = findings(workspace)
    assert rows.what.startswith("Outputs whose files are gone: 1, such as") and outputs.what.startswith(
        "Outputs that the metadata store does not have: 1, 0 B, such as"
    )
    end(rows)
    assert findings(workspace) == []


def test_a_moved_workspace(workspace, tmp_path):
    shutil.move(workspace.folder, tmp_path / "moved")
    workspace.folder = tmp_path / "moved"
    rows, outputs = findings(workspace)
    assert rows.what.endswith("The workspace was moved: the next run repeats all steps.")
    end(outputs)
    assert findings(workspace) == []


def test_leftovers_and_half_versions(workspace):
    (workspace.folder / "serving" / "demo" / ".pushing-1001").mkdir()
    (workspace.folder / ".removing-20250101-000000-demo").mkdir()
    finding = only(workspace)
    assert finding.what.startswith("Leftovers of processes that were killed: 2, 0 B, such as")
    end(finding)
    assert findings(workspace) == []


def test_a_damaged_store(workspace):
    (workspace.folder / METADATA_FILE).write_bytes(b"no database" * 1000)
    finding = only(workspace)
    assert finding.where == "metadata" and "file is not a database): restore it, or delete it." in finding.what
    end(finding)
    assert (workspace.folder / "metadata.damaged").exists()
    assert findings(workspace) == []


def test_outputs_that_this_user_may_not_see(workspace, monkeypatch):
    """Such as those of a copied workspace, whose store names the folders of the original."""

    def denied(path, exists=Path.exists):
        if "Trainer" in path.parts:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return exists(path)

    monkeypatch.setattr(Path, "exists", denied)
    finding = only(workspace)
    assert finding.where == "metadata" and "Trainer" in finding.what and "permission is denied" in finding.what


def test_a_summary_that_cannot_be_read(workspace):
    run = workspace.run()
    (workspace.folder / "runs" / run / "summary.json").write_text("{")
    finding = only(workspace)
    assert run in finding.what and "cannot be read" in finding.what
    end(finding)
    assert findings(workspace) == []


def test_versions_that_nobody_can_serve(workspace):
    base = workspace.folder / "serving" / "demo"
    (workspace.version("demo", 1001) / "saved_model.pb").unlink()
    finding = only(workspace)
    assert finding.what == f"{base / '1001'} has no saved_model.pb, so no server can load it."
    end(finding)
    (base / MODELS_CONFIG).unlink()
    finding = only(workspace)
    assert finding.what == f"{base} has versions, but no {MODELS_CONFIG}, so no server can serve them."
    end(finding)
    assert findings(workspace) == [] and (base / MODELS_CONFIG).exists()


def test_the_only_version_without_its_weights(workspace):
    base = workspace.folder / "serving" / "demo"
    (labelled,) = (int(path.name) for path in base.glob("[0-9]*"))
    (base / str(labelled) / "variables" / "variables.index").unlink()
    finding = only(workspace)
    assert finding.what == f"{base / str(labelled)} has no variables/variables.index, so no server can load it."
    assert "din run" in finding.command


def test_a_metadata_store_that_is_empty_is_not_made_anew(workspace):
    workspace.execution(workspace.run(), "Trainer")
    metadata = workspace.folder / "metadata.sqlite"
    metadata.write_bytes(b"")
    assert "is empty, so nothing is known of the outputs" in only(workspace).what
    assert metadata.stat().st_size == 0
    end(only(workspace))
    assert not metadata.exists()


def test_a_models_config_that_cannot_be_read(workspace):
    (workspace.folder / "serving" / "demo" / MODELS_CONFIG).write_text("nonsense")
    finding = only(workspace)
    assert f"{MODELS_CONFIG} cannot be read" in finding.what
    end(finding)
    end(only(workspace))  # there is none now
    assert findings(workspace) == []


def test_a_killed_rollback(workspace):
    workspace.version("demo", 1001)
    label(workspace, 1001)
    write_rolled_back(workspace.folder / "serving" / "demo", {1001})
    finding = only(workspace)
    assert finding.what.endswith("version 1001 is labelled stable, but was rolled back: a rollback was killed.")
    end(finding)
    assert findings(workspace) == []


def test_a_server_that_gives_no_answer(workspace, tmp_path, capsys):
    """The servers of the last push, those of the last run's configuration, and those of a given configuration."""
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"grpc://127.0.0.1:{taken.getsockname()[1]}"
        write_servers(workspace.folder / "serving" / "demo", [url])
        assert only(workspace).what.startswith(f"{url} gives no answer (UNAVAILABLE")
        write_servers(workspace.folder / "serving" / "demo", [])
        assert findings(workspace) == []
        run = workspace.run()
        (workspace.folder / "runs" / run / "config.json").write_text(json.dumps({"serving": {"servers": [url]}}))
        assert only(workspace).where == "servers"
        where = ["doctor", "--workspace", str(workspace.folder), "--json", "--set", "name=demo"]
        assert main([*where, "--set", f"serving.servers=[{url!r}]"]) == 1
        assert [finding["where"] for finding in json.loads(capsys.readouterr().out)["findings"]] == ["servers"]
        assert main([*where, "--set", "serving.servers=[]"]) == 0


@pytest.mark.parametrize(
    ("what", "fake", "sentence", "named"),
    [
        ("_libc", lambda: "glibc 2.36", "glibc is 2.36, but TFX needs 2.39", "make setup"),
        ("_free_memory", lambda: 512_000_000, "512 MB of memory is free", "ps -eo"),
        ("_version", lambda library: "0.1", "tensorflow 0.1 is installed, but this release needs tensorflow==2.21.0.", "make setup"),
        ("_version", lambda library: None, "no tensorflow is installed, but this release needs tensorflow==2.21.0.", "make setup"),
    ],
)
def test_the_machine(tmp_path, monkeypatch, what, fake, sentence, named):
    monkeypatch.setattr(machine, what, fake)
    found = [finding for finding in diagnose(tmp_path).findings if sentence in finding.what]
    assert len(found) == 1 and found[0].where == "environment" and found[0].command.startswith(named)


def test_a_full_disk(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage._replace(free=10**9))
    (finding,) = diagnose(tmp_path).findings
    assert finding.what == f"1 GB is free on the disk of {tmp_path}, which may be too little for a run."
    assert finding.command == f"din clean --workspace {tmp_path} --keep 1"


def test_free_memory_is_what_the_limit_of_a_container_leaves(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 8000 kB\nMemAvailable: 4000 kB\n")
    assert machine._free_memory(tmp_path / "meminfo", tmp_path) == 4_096_000
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert machine._free_memory(tmp_path / "meminfo", tmp_path) == 4_096_000
    (tmp_path / "memory.max").write_text("3000000\n")
    assert machine._free_memory(tmp_path / "meminfo", tmp_path) == 2_000_000


def test_it_answers_without_tensorflow(workspace):
    """In an empty process, because other tests have imported it in this one."""
    code = f"from pipeline.cli.main import main; main(['doctor', '--workspace', {str(workspace.folder)!r}])"
    code += "; import sys; assert not {'tensorflow', 'tfx', 'apache_beam', 'plotly'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
