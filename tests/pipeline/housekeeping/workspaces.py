"""Makes workspaces by hand: runs with their outputs in a real metadata store, versions, data sets and leftovers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.serving.store.versions import write_pushed_by
from pipeline.records.metadata_store import open_store
from pipeline.records.run_list import METADATA_FILE
from pipeline.records.summary import Summary

FIRST = datetime(2025, 11, 1, 9, tzinfo=UTC)
CACHED = mlmd.Execution.CACHED


class Workspace:
    """A workspace in which one run a day happens.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._store = open_store(folder / METADATA_FILE)
        kinds = mlmd.ContextType, mlmd.ExecutionType, mlmd.ArtifactType
        put = self._store.put_context_type, self._store.put_execution_type, self._store.put_artifact_type
        names = ((0, "pipeline_run"), (0, "execution_cache"), (0, "node"), (1, "Node"), (2, "Artifact"))
        self._run, self._cache, self._of_node, self._node, self._kind = (put[at](kinds[at](name=name)) for at, name in names)
        self._contexts: dict[str, mlmd.Context] = {}
        self._days: dict[str, int] = {}

    def run(self, name: str = "demo", evaluated: bool = True, pushed: int | None = None, **changes) -> str:
        """Adds the run of the next day of a name. Returns its id."""
        day = self._days[name] = self._days.get(name, -1) + 1
        started = FIRST + timedelta(days=day)
        status = "pushed" if pushed else "refused" if evaluated else "failed"
        known = {"metrics": {"auc": 0.7} if evaluated else None, "status": status, "exit_code": 0, "pushed_version": pushed}
        run_id = f"{started:%Y%m%d-%H%M%S}-{name}"
        summary = Summary(run_id=run_id, name=name, started=started.isoformat(timespec="seconds"), **{**known, **changes})
        summary.write(self.folder)
        (self.folder / "runs" / run_id / "log.txt").write_text("x" * 1000)
        if pushed:
            self.version(name, pushed, run_id)
        return run_id

    def version(self, name: str, number: int, run_id: str | None = None) -> Path:
        """Adds a version that a run pushed."""
        folder = self.folder / "serving" / name / str(number)
        (folder / "variables").mkdir(parents=True, exist_ok=True)
        (folder / "saved_model.pb").write_text("model")
        (folder / "variables" / "variables.index").write_text("weights")
        if run_id:
            write_pushed_by(folder, run_id)
        return folder

    def execution(self, run_id: str, node: str, inputs=(), cached_from: int | None = None, state=mlmd.Execution.COMPLETE) -> int:
        """Adds an execution of a run, with one output. Returns the number of the output; a cached one is that of an earlier execution."""
        name = run_id.split("-", 2)[2]
        execution = mlmd.Execution(type_id=self._node, last_known_state=CACHED if cached_from else state)
        execution.custom_properties["run"].string_value = run_id
        (number,) = self._store.put_executions([execution])
        execution.id = number
        if cached_from:
            output = cached_from
        else:
            folder = self.folder / "artifacts" / name / node / "out" / str(number)
            folder.mkdir(parents=True)
            (folder / "data").write_text("x" * 100)
            artifact = mlmd.Artifact(type_id=self._kind, uri=str(folder), state=mlmd.Artifact.LIVE)
            artifact.custom_properties["size"].int_value = 100
            (output,) = self._store.put_artifacts([artifact])
        events = [mlmd.Event(artifact_id=artifact, execution_id=number, type=mlmd.Event.INPUT) for artifact in inputs]
        events.append(mlmd.Event(artifact_id=output, execution_id=number, type=mlmd.Event.OUTPUT))
        events[-1].path.steps.add().key = "out"
        self._store.put_events(events)
        contexts = [self._context(self._run, run_id), self._context(self._cache, f"{name}.{node}.{inputs}")]
        contexts.append(self._context(self._of_node, f"{name}.{node}"))
        self._store.put_attributions_and_associations(
            [mlmd.Attribution(artifact_id=output, context_id=context) for context in contexts],
            [mlmd.Association(execution_id=number, context_id=context) for context in contexts],
        )
        return output

    def _context(self, kind: int, name: str) -> int:
        if name not in self._contexts:
            (self._contexts[name],) = self._store.put_contexts([mlmd.Context(type_id=kind, name=name)])
        return self._contexts[name]

    def place(self, artifact: int) -> Path:
        return Path(next(iter(self._store.get_artifacts_by_id([artifact]))).uri)

    def live(self) -> set[int]:
        """The artifacts that TFX's cache may use."""
        return {artifact.id for artifact in open_store(self.folder / METADATA_FILE).get_artifacts() if artifact.state == mlmd.Artifact.LIVE}

    def executions(self) -> int:
        return len(open_store(self.folder / METADATA_FILE).get_executions())

    def runs(self) -> set[str]:
        return {folder.name for folder in (self.folder / "runs").iterdir()}
