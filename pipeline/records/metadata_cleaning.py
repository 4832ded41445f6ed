"""Takes out of the metadata store what belongs to deleted runs: their artifacts, and the rows of their executions.

ML Metadata has no call that deletes rows. In its SQLite file this is done by SQL, in one transaction; in the database of a server the rows
stay, and only say that their artifacts are deleted.
"""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from pipeline.records.metadata_store import open_store
from pipeline.records.store_place import has_store, read_database

_RUN, _CACHE = "pipeline_run", "execution_cache"  # types of TFX's contexts
_SCHEMA = 10  # the version of ML Metadata's tables that the SQL below is for
_LIVE, _DELETED = metadata_store_pb2.Artifact.LIVE, metadata_store_pb2.Artifact.DELETED


class Stored(NamedTuple):
    """What the store says of the artifacts of a workspace.

    Attributes:
        live: The folder of each artifact that is not deleted, by its number.
        used: Those of them that some runs read or wrote.
        open: Number of executions that have not ended.
    """

    live: dict[int, Path]
    used: set[int]
    open: int


def read_stored(metadata: Path, runs: Collection[str]) -> Stored | None:
    """Reads the artifacts of a store, and which of them some runs used, cached ones included.

    Args:
        metadata: The SQLite file of the workspace.
        runs: The ids of the runs.

    Returns:
        None if there is no store.

    Raises:
        InputError: The store cannot be opened.
    """
    if not has_store(metadata):
        return None
    store = open_store(metadata)
    live = {artifact.id: Path(artifact.uri) for artifact in store.get_artifacts() if artifact.state == _LIVE}
    executions = store.get_executions()
    left_open = [found for found in executions if found.last_known_state in (found.NEW, found.RUNNING)]
    return Stored(live, live.keys() & _used_by(store, runs), len(left_open))


def _used_by(store: metadata_store.MetadataStore, runs: Collection[str]) -> set[int]:
    contexts = [context for context in store.get_contexts() if context.type == _RUN and context.name in runs]
    executions = {execution.id for context in contexts for execution in store.get_executions_by_context(context.id)}
    return {event.artifact_id for event in store.get_events_by_execution_ids(sorted(executions))} if executions else set()


def mark_deleted(metadata: Path, artifacts: Collection[int]) -> None:
    """Marks artifacts as deleted, so that TFX's cache does not offer them. Their files are deleted after that.

    Raises:
        InputError: The store cannot be opened.
    """
    if artifacts:
        store = open_store(metadata)
        found = store.get_artifacts_by_id(sorted(artifacts))
        for artifact in found:
            artifact.state = _DELETED
        store.put_artifacts(found)


def delete_rows(metadata: Path, runs: Collection[str]) -> int:
    """Deletes the executions of all runs but some, the deleted artifacts that nothing else used, and the contexts that become empty.

    It is one transaction: a process that is killed in it leaves all rows. Numbers are not used again.

    Args:
        metadata: The SQLite file of the workspace.
        runs: The ids of the runs whose rows stay.

    Returns:
        The number of executions; 0 if the store is in the database of a server, or of another release of ML Metadata.

    Raises:
        sqlite3.Error: The file cannot be read or written.
    """
    if not metadata.exists() or read_database(metadata) is not None:
        return 0
    with closing(sqlite3.connect(metadata, timeout=30)) as connection, connection:
        if connection.execute("SELECT schema_version FROM MLMDEnv").fetchall() != [(_SCHEMA,)]:
            return 0
        connection.execute("BEGIN IMMEDIATE")
        _choose_rows(connection, runs)
        deleted: int = connection.execute("SELECT count(*) FROM gone_execution").fetchone()[0]
        for statement in _DELETIONS:
            connection.execute(statement)
    return deleted


def _choose_rows(connection: sqlite3.Connection, runs: Collection[str]) -> None:
    """Makes the temporary tables of what is deleted."""
    connection.execute("CREATE TEMP TABLE kept_run (name TEXT PRIMARY KEY)")
    connection.executemany("INSERT INTO kept_run VALUES (?)", [(run,) for run in runs])
    connection.execute(
        f"""CREATE TEMP TABLE gone_execution AS SELECT id FROM Execution WHERE id NOT IN (
            SELECT a.execution_id FROM Association a JOIN Context c ON c.id = a.context_id JOIN Type t ON t.id = c.type_id
            WHERE t.name = '{_RUN}' AND c.name IN (SELECT name FROM kept_run))"""
    )
    connection.execute(
        f"""CREATE TEMP TABLE gone_artifact AS SELECT id FROM Artifact WHERE state = {_DELETED} AND id NOT IN (
            SELECT artifact_id FROM Event WHERE execution_id NOT IN (SELECT id FROM gone_execution))"""
    )
    connection.execute(
        f"""CREATE TEMP TABLE gone_context AS SELECT c.id FROM Context c JOIN Type t ON t.id = c.type_id
            WHERE t.name IN ('{_RUN}', '{_CACHE}') AND c.id NOT IN (
            SELECT context_id FROM Association WHERE execution_id NOT IN (SELECT id FROM gone_execution))"""
    )


_GONE_EVENT = """SELECT id FROM Event WHERE execution_id IN (SELECT id FROM gone_execution)
    OR artifact_id IN (SELECT id FROM gone_artifact)"""
_DELETIONS = (
    f"DELETE FROM EventPath WHERE event_id IN ({_GONE_EVENT})",
    f"DELETE FROM Event WHERE id IN ({_GONE_EVENT})",
    *(
        f"DELETE FROM {table} WHERE {column} IN (SELECT id FROM gone_{kind})"
        for kind, places in {
            "execution": {"Association": "execution_id", "ExecutionProperty": "execution_id", "Execution": "id"},
            "artifact": {"Attribution": "artifact_id", "ArtifactProperty": "artifact_id", "Artifact": "id"},
            "context": {
                **{"Association": "context_id", "Attribution": "context_id", "ContextProperty": "context_id"},
                **{"ParentContext": "context_id", "Context": "id"},
            },
        }.items()
        for table, column in places.items()
    ),
)
