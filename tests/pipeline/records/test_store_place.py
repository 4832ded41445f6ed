"""A workspace keeps the store that its first run chose: its SQLite file, or the database of a server."""

import json
import os

import pytest

from components.base.errors import InputError
from pipeline.records.store_place import choose_database, connection_config, has_store, read_database, record_database

URL = "postgresql://din:secret@db/mlmd"


@pytest.fixture
def metadata(tmp_path, monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.delenv("MYSQL_PWD", raising=False)
    return tmp_path / "metadata.sqlite"


def test_without_a_url_the_file_of_the_workspace_has_the_metadata(metadata):
    assert choose_database(metadata, "") is None and not has_store(metadata)
    config = connection_config(metadata)
    assert (config.sqlite.filename_uri, config.sqlite.connection_mode) == (str(metadata), 3)


def test_a_database_is_remembered_without_its_password(metadata):
    """The password goes where PostgreSQL's own client looks for it, and TFX, which logs the connection, never has it."""
    database = choose_database(metadata, URL)
    record_database(metadata, database)
    assert os.environ["PGPASSWORD"] == "secret"
    assert json.loads((metadata.parent / "metadata.json").read_text()) == {
        "url": "postgresql://din@db:5432/mlmd",
        "workspace": database.workspace,
    }
    assert has_store(metadata)
    config = connection_config(metadata)
    assert (config.postgresql.host, config.postgresql.port, config.postgresql.user, config.postgresql.dbname) == (
        "db",
        "5432",
        "din",
        "mlmd",
    )
    assert not config.postgresql.password
    assert choose_database(metadata, "postgresql://din@db:5432/mlmd") == read_database(metadata)


def test_mysql(metadata):
    record_database(metadata, choose_database(metadata, "mysql://din:s@/mlmd?socket=/run/my.sock"))
    config = connection_config(metadata).mysql
    assert (config.socket, config.host, config.user, config.database, config.password) == ("/run/my.sock", "", "din", "mlmd", "")
    assert os.environ["MYSQL_PWD"] == "s"


@pytest.mark.parametrize("other", ["", "postgresql://din@db/other", "mysql://din@db/mlmd"])
def test_a_run_does_not_leave_the_database_of_its_workspace(metadata, other):
    record_database(metadata, choose_database(metadata, URL))
    with pytest.raises(
        InputError, match=r"has its metadata in postgresql://din@db:5432/mlmd: set metadata\.url to it, or name another workspace"
    ):
        choose_database(metadata, other)


def test_a_run_does_not_leave_the_file_of_its_workspace(metadata):
    metadata.write_bytes(b"")
    with pytest.raises(InputError, match=r"has its metadata in metadata\.sqlite: remove metadata\.url, or name another workspace"):
        choose_database(metadata, URL)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"url": "nope", "workspace": "a"}', '{"url": 5}'])
def test_a_damaged_record_is_one_sentence(metadata, content):
    (metadata.parent / "metadata.json").write_text(content)
    with pytest.raises(InputError, match=r"metadata\.json cannot be read \(.*\): restore it"):
        connection_config(metadata)
