"""Whole runs with the metadata in PostgreSQL (`metadata.url`): they push, the cache works, also after a kill; the password is nowhere."""

from urllib.parse import quote

import pytest

from benchmarks.faults.killed_command import Started
from benchmarks.faults.workspace_state import WorkspaceState
from tests.e2e.conftest import TINY, run
from tests.postgresql import PASSWORD, USER, postgresql_server


@pytest.fixture(scope="module")
def url():
    with postgresql_server() as query:
        yield f"postgresql://{USER}:{quote(PASSWORD)}@/mlmd?{query}"


def test_runs_with_their_metadata_in_postgresql(tmp_path, tiny_data, url, monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    workspace, setting = tmp_path / "workspace", f"metadata.url={url}"
    first = run(workspace, tiny_data, (setting,))
    assert (first.code, first.summary["status"]) == (0, "pushed"), first.err

    options = [f"--set={option}" for option in (*TINY, setting)]
    killed = Started(["run", "--data", str(tiny_data), "--workspace", str(workspace), *options], tmp_path / "tmp")
    killed.wait_for("  Trainer")  # from the cache; the new baseline makes the steps after it run again
    assert killed.end(after=0).killed
    monkeypatch.setenv("PGPASSWORD", PASSWORD)  # for the checks; the first run had it from the URL alone
    state = WorkspaceState(workspace, tmp_path / "tmp")
    assert state.after_kill() == []
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    again = run(workspace, tiny_data, (setting,))
    assert (again.code, again.summary["status"]) == (0, "unchanged"), again.err
    assert {"ImportExampleGen", "Transform", "Trainer"} <= set(again.summary["cached"])
    assert state.after_run() == []
    assert not (workspace / "metadata.sqlite").exists()

    secrets = (PASSWORD.encode(), quote(PASSWORD).encode())
    assert not [file for file in workspace.rglob("*") if file.is_file() and any(secret in file.read_bytes() for secret in secrets)]
    assert not any(secret.decode() in text for secret in secrets for text in (first.out, first.err, again.out, again.err))

    without = run(workspace, tiny_data)
    assert without.code == 2 and "has its metadata in postgresql://din@:5432/mlmd?host=" in without.err
    other = run(tmp_path / "other", tiny_data, (setting,))
    assert other.code == 2 and "has the metadata of another workspace: give each workspace a database of its own" in other.err
