"""Reads from TFX's metadata store (ML Metadata) which artifacts a run put out, and tidies what killed or moved runs left in it.

A SQLite file keeps SQLite's rollback journal. In 80 kills of a process that wrote without a pause, neither that nor a write-ahead log lost
a transaction or stopped a reader; the rollback journal is one file fewer to copy, and works on file systems of a network.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from components.base.errors import InputError
from pipeline.records.store_place import Database, choose_database, connection_config, has_store, read_database, record_database

_DAMAGED = ("file is not a database", "database disk image is malformed")  # texts of SQLite
_OTHER_RELEASE = "MLMD database version"  # a text of ML Metadata
_OWNER = "din_workspace"  # type of the context that names the workspace of a database


def prepare_store(metadata: Path, url: str) -> None:
    """Opens the store that a run will write, so that a wrong place or a damaged file is found before anything is computed.

    Args:
        metadata: The SQLite file of the workspace.
        url: `metadata.url`; empty for that file.

    Raises:
        InputError: The workspace has its metadata elsewhere, the server gives no answer, the database belongs to another workspace, or
            the file is damaged.
    """
    database = choose_database(metadata, url)
    if database is None:
        if metadata.exists():
            open_store(metadata)
        return
    store = _open_database(database)
    kind = store.put_context_type(metadata_store_pb2.ContextType(name=_OWNER))
    owners = {context.name for context in store.get_contexts_by_type(_OWNER)}
    if owners - {database.workspace} or (not owners and store.get_executions()):
        raise InputError(f"{database.url.public} has the metadata of another workspace: give each workspace a database of its own.")
    record_database(metadata, database)
    if not owners:
        store.put_contexts([metadata_store_pb2.Context(type_id=kind, name=database.workspace)])


def open_store(metadata: Path) -> metadata_store.MetadataStore:
    """Opens the store of a workspace. A file is checked as a whole, because SQLite notices damage only where it reads.

    Raises:
        InputError: The file is damaged or of another release of ML Metadata, or the server gives no answer.
    """
    database = read_database(metadata)
    if database is not None:
        return _open_database(database)
    try:
        if metadata.exists():
            _check_file(metadata)
        return metadata_store.MetadataStore(connection_config(metadata))
    except (RuntimeError, sqlite3.DatabaseError) as error:
        if damage := next((text for text in _DAMAGED if text in str(error)), None):
            raise InputError(f"{metadata} ({damage}): restore it, or delete it. Without it the next run repeats all steps.") from error
        if _OTHER_RELEASE in str(error):
            raise InputError(f"{metadata} was written by another release of ml-metadata: name another workspace.") from error
        raise


def _check_file(metadata: Path) -> None:
    """Raises sqlite3.DatabaseError if a file is damaged. What a killed process left unfinished is undone by the opening."""
    with closing(sqlite3.connect(f"{metadata.absolute().as_uri()}?mode=rw", uri=True, timeout=30)) as connection:
        ((found,), *_) = connection.execute("PRAGMA quick_check(1)").fetchall()
    if found != "ok":
        raise sqlite3.DatabaseError(f"database disk image is malformed: {found}")


def _open_database(database: Database) -> metadata_store.MetadataStore:
    try:
        return metadata_store.MetadataStore(database.connection_config())
    except RuntimeError as error:
        if _OTHER_RELEASE in str(error):
            raise InputError(f"{database.url.public} was written by another release of ml-metadata: name another database.") from error
        raise InputError(
            f"{database.url.public} cannot be opened: start the server, make the database, or correct metadata.url and the password. "
            "What the server answered is printed above, or in the log of the run."
        ) from error


def tidy_store(metadata: Path, artifacts: Path) -> list[str]:
    """Removes what killed runs, lost stores and deleted folders left, before a run. Returns a sentence on what was deleted.

    Args:
        metadata: SQLite file of the workspace.
        artifacts: The folder of the outputs of all pipelines of the store.
    """
    sentences = []
    if closed := close_killed_executions(metadata, artifacts):
        sentences.append(f"Steps that earlier runs left unfinished: {closed}. They were closed, and their files deleted.")
    if lost := delete_later_outputs(metadata, artifacts):
        sentences.append(f"Folders in artifacts/ that the metadata store does not know: {lost}. They were deleted.")
    forget_missing_artifacts(metadata)
    return sentences


def forget_missing_artifacts(metadata: Path) -> int:
    """Marks artifacts whose files are gone as deleted, so that TFX's cache does not use them. Moving a workspace has this effect, too.

    Returns:
        The number of these artifacts.
    """
    if not has_store(metadata):
        return 0
    store = open_store(metadata)
    gone = [a for a in store.get_artifacts() if a.state == metadata_store_pb2.Artifact.LIVE and not Path(a.uri).exists()]
    for artifact in gone:
        artifact.state = metadata_store_pb2.Artifact.DELETED
    store.put_artifacts(gone)
    return len(gone)


def close_killed_executions(metadata: Path, artifacts: Path) -> int:
    """Marks executions as failed that a killed run left open, and deletes what they put out. Nobody may be running the pipeline.

    TFX names the folders of an output, and those of its temporary files, by the number of the execution.

    Args:
        metadata: SQLite file of the workspace.
        artifacts: The folder of the outputs of all pipelines of the store.

    Returns:
        The number of these executions.
    """
    if not has_store(metadata):
        return 0
    store, states = open_store(metadata), metadata_store_pb2.Execution
    left_open = [execution for execution in store.get_executions() if execution.last_known_state in (states.NEW, states.RUNNING)]
    known = _live(store)
    for execution in left_open:
        execution.last_known_state = states.FAILED
        for folder in (*artifacts.glob(f"*/*/*/{execution.id}/"), *artifacts.glob(f"*/*/.system/*/{execution.id}/")):
            _delete_unknown(folder, known)
    for folder in artifacts.glob("*/*/.system/stateful_working_dir/*/") if left_open else ():
        _delete_unknown(folder, known)
    store.put_executions(left_open)
    return len(left_open)


def delete_later_outputs(metadata: Path, artifacts: Path) -> int:
    """Deletes temporary folders of ended executions, and outputs of executions that the store has not reached yet.

    TFX would write new outputs among the files of the latter. There are such folders after the store was deleted, or replaced by an older
    copy. Nobody may be running the pipeline.

    Args:
        metadata: SQLite file of the workspace.
        artifacts: The folder of the outputs of all pipelines of the store.

    Returns:
        The number of the folders with outputs.
    """
    store = open_store(metadata) if has_store(metadata) else None
    last = max((execution.id for execution in store.get_executions()), default=0) if store else 0
    known = _live(store) if store else set()
    for folder in artifacts.glob("*/*/.system/*/*/"):
        _delete_unknown(folder, known)
    later = [folder for folder in artifacts.glob("*/*/*/*/") if folder.name.isdecimal() and int(folder.name) > last]
    return sum(_delete_unknown(folder, known) for folder in later)


def _live(store: metadata_store.MetadataStore) -> set[Path]:
    return {Path(artifact.uri) for artifact in store.get_artifacts() if artifact.state == metadata_store_pb2.Artifact.LIVE}


def _delete_unknown(folder: Path, known: set[Path]) -> bool:
    """Deletes a folder, except if it is part of an artifact or holds one. Returns whether it did."""
    if any(path == folder or path in folder.parents or folder in path.parents for path in known):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


class RunOutputs:
    """The output artifacts of one pipeline run, cached ones included.

    Args:
        metadata: SQLite file of the workspace; without a store it is empty.
        run_id: The run.
    """

    def __init__(self, metadata: Path, run_id: str):
        self._artifacts: dict[tuple[str, str], metadata_store_pb2.Artifact] = {}
        if not has_store(metadata):
            return
        store = open_store(metadata)
        run = store.get_context_by_type_and_name("pipeline_run", run_id)
        for execution in store.get_executions_by_context(run.id) if run else []:
            self._add(store, execution)

    def _add(self, store: metadata_store.MetadataStore, execution: metadata_store_pb2.Execution) -> None:
        nodes = [context.name for context in store.get_contexts_by_execution(execution.id) if context.type == "node"]
        events = [e for e in store.get_events_by_execution_ids([execution.id]) if e.type == metadata_store_pb2.Event.OUTPUT]
        artifacts = {artifact.id: artifact for artifact in store.get_artifacts_by_id([e.artifact_id for e in events])}
        for event in events:
            node = nodes[0].partition(".")[2]
            artifact = artifacts[event.artifact_id]
            if artifact.state == metadata_store_pb2.Artifact.LIVE:
                self._artifacts[node, event.path.steps[0].key] = artifact

    def uri(self, node: str, key: str) -> Path | None:
        """Returns the folder of an output; None if the run did not reach it."""
        artifact = self._artifacts.get((node, key))
        return Path(artifact.uri) if artifact else None

    def property(self, node: str, key: str, name: str) -> int | str | None:
        """Returns a custom property of an output; None if there is none."""
        artifact = self._artifacts.get((node, key))
        if artifact is None or name not in artifact.custom_properties:
            return None
        value = artifact.custom_properties[name]
        return value.int_value if value.HasField("int_value") else value.string_value
