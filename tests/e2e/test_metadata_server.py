"""Whole runs with the metadata in PostgreSQL (`metadata.url`): they push, the cache works, and the password is written nowhere."""

from urllib.parse import quote

import pytest

from tests.e2e.conftest import run
from tests.postgresql import PASSWORD, USER, postgresql_server


@pytest.fixture(scope="module")
def url():
    with postgresql_server() as query:
        yield f"postgresql://{USER}:{quote(PASSWORD)}@/mlmd?{query}"


def test_runs_with_their_metadata_in_postgresql(tmp_path, tiny_data, url):
    workspace, setting = tmp_path / "workspace", f"metadata.url={url}"
    first = run(workspace, tiny_data, (setting,))
    assert (first.code, first.summary["status"]) == (0, "pushed"), first.err
    again = run(workspace, tiny_data, (setting,))
    assert (again.code, again.summary["status"]) == (0, "unchanged"), again.err
    assert {"ImportExampleGen", "Transform", "Trainer"} <= set(again.summary["cached"])
    assert not [note for note in again.summary["notes"] if "metadata" in note]
    assert not (workspace / "metadata.sqlite").exists()

    secrets = (PASSWORD.encode(), quote(PASSWORD).encode())
    assert not [file for file in workspace.rglob("*") if file.is_file() and any(secret in file.read_bytes() for secret in secrets)]
    assert not any(secret.decode() in text for secret in secrets for text in (first.out, first.err, again.out, again.err))

    without = run(workspace, tiny_data)
    assert without.code == 2 and "has its metadata in postgresql://din@:5432/mlmd?host=" in without.err
    other = run(tmp_path / "other", tiny_data, (setting,))
    assert other.code == 2 and "has the metadata of another workspace: give each workspace a database of its own" in other.err
