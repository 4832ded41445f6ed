"""Where the metadata of a workspace is: in its SQLite file, or in the database of a server (`metadata.url`), which it then remembers.

Whoever reads the metadata names the SQLite file. `metadata.json` beside it says that a database has it instead, so that no reader needs
the configuration. A password is in no file: it is in the variable of the environment in which the server's own clients look for it.
"""

import json
import os
import uuid
from pathlib import Path
from typing import NamedTuple

from ml_metadata.proto import metadata_store_pb2

from components.base.atomic_files import write_whole
from components.base.errors import InputError
from pipeline.configuration.store_url import StoreUrl, parse_store_url
from pipeline.records.postgresql_fixes import fix_postgresql

_PASSWORD = {"postgresql": "PGPASSWORD", "mysql": "MYSQL_PWD"}


class Database(NamedTuple):
    """The database of a workspace.

    Attributes:
        url: Where it is.
        workspace: The id of the workspace that it belongs to.
    """

    url: StoreUrl
    workspace: str

    def connection_config(self) -> metadata_store_pb2.ConnectionConfig:
        """Returns how ML Metadata, and TFX, reach the database. It has no password, because TFX logs it."""
        url = self.url
        if url.scheme == "postgresql":
            fix_postgresql()
            postgresql = metadata_store_pb2.PostgreSQLDatabaseConfig(
                host=url.socket or url.host, port=str(url.port), user=url.user, dbname=url.database
            )
            return metadata_store_pb2.ConnectionConfig(postgresql=postgresql)
        mysql = metadata_store_pb2.MySQLDatabaseConfig(
            host=url.host, port=url.port, socket=url.socket, user=url.user, database=url.database
        )
        return metadata_store_pb2.ConnectionConfig(mysql=mysql)


def _record(metadata: Path) -> Path:
    return metadata.with_name("metadata.json")


def read_database(metadata: Path) -> Database | None:
    """Returns the database that has the metadata of a workspace; None if its SQLite file has it.

    Raises:
        InputError: The record of it cannot be read.
    """
    try:
        record = json.loads(_record(metadata).read_text(encoding="utf-8"))
        return Database(parse_store_url(str(record["url"])), str(record["workspace"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{_record(metadata)} cannot be read ({error}): restore it. It says which database has the metadata.") from error


def has_store(metadata: Path) -> bool:
    """Returns whether a run of the workspace has begun a store."""
    return metadata.exists() or _record(metadata).exists()


def choose_database(metadata: Path, url: str) -> Database | None:
    """Compares what the configuration says with what the workspace has. A workspace keeps the store that its first run chose.

    Args:
        metadata: The SQLite file.
        url: `metadata.url`; empty for the SQLite file.

    Returns:
        The database, with a new id if no run has used one; None for the SQLite file.

    Raises:
        InputError: The workspace has its metadata elsewhere.
    """
    wanted, known = parse_store_url(url) if url else None, read_database(metadata)
    if known and (wanted is None or wanted.public != known.url.public):
        raise InputError(f"{metadata.parent} has its metadata in {known.url.public}: set metadata.url to it, or name another workspace.")
    if wanted is None:
        return None
    if metadata.exists():
        raise InputError(f"{metadata.parent} has its metadata in {metadata.name}: remove metadata.url, or name another workspace.")
    if wanted.password is not None:
        os.environ[_PASSWORD[wanted.scheme]] = wanted.password
    return known or Database(wanted, uuid.uuid4().hex)


def record_database(metadata: Path, database: Database) -> None:
    """Makes the workspace remember its database.

    Raises:
        InputError: The record cannot be written.
    """
    write_whole(_record(metadata), [json.dumps({"url": database.url.public, "workspace": database.workspace}), "\n"])


def connection_config(metadata: Path) -> metadata_store_pb2.ConnectionConfig:
    """Returns how ML Metadata, and TFX, reach the store of a workspace.

    Raises:
        InputError: The record of a database cannot be read.
    """
    database = read_database(metadata)
    if database is None:
        mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        sqlite = metadata_store_pb2.SqliteMetadataSourceConfig(filename_uri=str(metadata), connection_mode=mode)
        return metadata_store_pb2.ConnectionConfig(sqlite=sqlite)
    return database.connection_config()
