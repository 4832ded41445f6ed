"""Reads from TFX's metadata store (ML Metadata) which artifacts a run put out, and tidies what killed or moved runs left in it."""

import shutil
from pathlib import Path

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from components.base.errors import InputError

_DAMAGED = ("file is not a database", "database disk image is malformed")  # texts of SQLite


def _connection(metadata: Path) -> metadata_store_pb2.ConnectionConfig:
    """The same as TFX's `sqlite_metadata_connection_config`. TFX is not imported here, which takes seconds."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(metadata)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


def _open(metadata: Path) -> metadata_store.MetadataStore:
    try:
        return metadata_store.MetadataStore(_connection(metadata))
    except RuntimeError as error:
        if damage := next((text for text in _DAMAGED if text in str(error)), None):
            raise InputError(f"{metadata} ({damage}): restore it, or delete it. Without it the next run repeats all steps.") from error
        raise


def forget_missing_artifacts(metadata: Path) -> int:
    """Marks artifacts whose files are gone as deleted, so that TFX's cache does not use them. Moving a workspace has this effect, too.

    Returns:
        The number of these artifacts.
    """
    if not metadata.exists():
        return 0
    store = _open(metadata)
    gone = [a for a in store.get_artifacts() if a.state == metadata_store_pb2.Artifact.LIVE and not Path(a.uri).exists()]
    for artifact in gone:
        artifact.state = metadata_store_pb2.Artifact.DELETED
    store.put_artifacts(gone)
    return len(gone)


def close_killed_executions(metadata: Path, artifacts: Path) -> int:
    """Marks executions as failed that a killed run left open, and deletes what they put out. Nobody may be running the pipeline.

    TFX names the folders of an output, and those of its temporary files, by the number of the execution.

    Args:
        metadata: SQLite file of the store.
        artifacts: The folder of the outputs of all pipelines of the store.

    Returns:
        The number of these executions.
    """
    if not metadata.exists():
        return 0
    store, states = _open(metadata), metadata_store_pb2.Execution
    left_open = [execution for execution in store.get_executions() if execution.last_known_state in (states.NEW, states.RUNNING)]
    known = {Path(artifact.uri) for artifact in store.get_artifacts() if artifact.state == metadata_store_pb2.Artifact.LIVE}
    for execution in left_open:
        execution.last_known_state = states.FAILED
        for folder in (*artifacts.glob(f"*/*/*/{execution.id}/"), *artifacts.glob(f"*/*/.system/*/{execution.id}/")):
            _delete_unknown(folder, known)
    for folder in artifacts.glob("*/*/.system/stateful_working_dir/*/") if left_open else ():
        _delete_unknown(folder, known)
    store.put_executions(left_open)
    return len(left_open)


def _delete_unknown(folder: Path, known: set[Path]) -> None:
    """Deletes a folder, except if it is part of an artifact or holds one."""
    if not any(path == folder or path in folder.parents or folder in path.parents for path in known):
        shutil.rmtree(folder, ignore_errors=True)


class RunOutputs:
    """The output artifacts of one pipeline run, cached ones included.

    Args:
        metadata: SQLite file of the store; a missing file is an empty store.
        run_id: The run.
    """

    def __init__(self, metadata: Path, run_id: str):
        self._artifacts: dict[tuple[str, str], metadata_store_pb2.Artifact] = {}
        if not metadata.exists():
            return
        store = _open(metadata)
        run = store.get_context_by_type_and_name("pipeline_run", run_id)
        for execution in store.get_executions_by_context(run.id) if run else []:
            self._add(store, execution)

    def _add(self, store: metadata_store.MetadataStore, execution: metadata_store_pb2.Execution) -> None:
        nodes = [context.name for context in store.get_contexts_by_execution(execution.id) if context.type == "node"]
        events = [e for e in store.get_events_by_execution_ids([execution.id]) if e.type == metadata_store_pb2.Event.OUTPUT]
        artifacts = {artifact.id: artifact for artifact in store.get_artifacts_by_id([e.artifact_id for e in events])}
        for event in events:
            node = nodes[0].rpartition(".")[2]
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
