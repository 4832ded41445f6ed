"""Looks for what a fault must not leave in a workspace: half versions, labels without a version, open executions, unknown files."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from benchmarks.disk_use import disk_use
from components.base.errors import InputError
from components.serving.model.loaded_model import LoadedModel
from components.serving.model.model_errors import Crashed, LoadError
from components.serving.store.model_digest import read_digest
from components.serving.store.models_config import link_folder, read_models_config
from components.serving.store.served_links import link_folders, linked_versions
from components.serving.store.versions import read_rolled_back, served_versions
from pipeline.records.metadata_store import open_store
from pipeline.records.run_list import METADATA_FILE, read_summaries
from pipeline.records.store_place import has_store

_OPEN = (metadata_store_pb2.Execution.NEW, metadata_store_pb2.Execution.RUNNING)
_DONE = (metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED)
_LEFTOVERS = (".*.part", ".pushing-*", ".removing-*", ".din-unfinished-*", "__autograph_generated_file*")
_MOST_LINK_FOLDERS = 21  # the newest 20, and one that a killed change made before it wrote models.config
_MOST_TEMPORARY = 50  # TFX leaves one or two empty folders for each node, which the next run deletes
_NOT_WEIGHTS = ("pushed_by", "not_loaded")  # files of a version that are written or deleted later


class WorkspaceState:
    """The state of a workspace, looked at again and again. It remembers each version's content, which must never change.

    Args:
        workspace: The workspace.
        temporary: The TMPDIR of its runs.
    """

    def __init__(self, workspace: Path, temporary: Path):
        self._workspace = workspace
        self._temporary = temporary
        self._digests: dict[Path, str] = {}

    @property
    def _metadata(self) -> Path:
        return self._workspace / METADATA_FILE

    def labels(self, name: str) -> dict[str, int]:
        """Returns the labels of the served versions of a name."""
        served = read_models_config(self._workspace / "serving" / name)
        return served.labels if served else {}

    def after_kill(self) -> list[str]:
        """What must hold at any moment, with sentences for what does not."""
        return [*self._wrong_serving(), *self._wrong_store(), *self._wrong_summaries()]

    def after_run(self) -> list[str]:
        """What must hold after a run that ended by itself."""
        return [*self.after_kill(), *self._open_executions(), *self._unknown_outputs(), *self._leftovers(), *self._killed_runs()]

    def done_nodes(self, run_id: str) -> set[str]:
        """Returns the nodes of a run that are complete or were cached, without TFX's Importers, which only name a folder."""
        if not has_store(self._metadata):
            return set()
        store = open_store(self._metadata)
        importers = {kind.id for kind in store.get_execution_types() if kind.name.endswith(".Importer")}
        run = store.get_context_by_type_and_name("pipeline_run", run_id)
        executions = store.get_executions_by_context(run.id) if run else []
        done = [found for found in executions if found.last_known_state in _DONE and found.type_id not in importers]
        nodes = [context for found in done for context in store.get_contexts_by_execution(found.id) if context.type == "node"]
        return {context.name.partition(".")[2] for context in nodes}

    def bytes(self) -> dict[str, int]:
        """Returns the bytes on the disk of each part of the workspace."""
        return {part.name: disk_use(part) for part in sorted(self._workspace.iterdir())} if self._workspace.exists() else {}

    def _bases(self) -> list[Path]:
        return sorted(self._workspace.glob("serving/*/"))

    def _wrong_serving(self) -> Iterator[str]:
        for base in self._bases():
            versions = served_versions(base)
            for version in versions:
                yield from self._wrong_version(base / str(version))
            try:
                served, number = read_models_config(base), link_folder(base)
                read_rolled_back(base)
            except InputError as error:
                yield str(error)
                continue
            if served is None or number is None:
                continue
            linked = linked_versions(base, number)
            if missing := set(served.labels.values()) - set(linked):
                yield f"{base}: models.config labels {sorted(missing)}, which its folder of links {number} lacks"
            if missing := set(linked) - set(versions):
                yield f"{base}: the folder of links {number} that models.config names links to {sorted(missing)}, which are not there"
            if len(link_folders(base)) > _MOST_LINK_FOLDERS:
                yield f"{base}: {len(link_folders(base))} folders of links"

    def _wrong_version(self, version: Path) -> Iterator[str]:
        files = sorted(path for path in version.rglob("*") if path.is_file() and path.name not in _NOT_WEIGHTS)
        digest = hashlib.sha256(b"".join(f"{path.relative_to(version)}".encode() + path.read_bytes() for path in files)).hexdigest()
        if version in self._digests:
            if self._digests[version] != digest:
                yield f"{version} has changed"
            return
        self._digests[version] = digest
        if read_digest(version) is None:
            yield f"{version} has no digest"
        try:
            LoadedModel(version, threads=1).close()
        except (LoadError, Crashed) as error:
            yield f"{version} cannot be loaded: {error}"

    def _wrong_store(self) -> list[str]:
        if not has_store(self._metadata):
            return []
        try:
            store = open_store(self._metadata)
            gone = [artifact.uri for artifact in _live(store) if not Path(artifact.uri).exists()]
        except Exception as error:
            return [f"the metadata store cannot be read: {error}"]
        return [f"the metadata store offers {uri}, which is not there" for uri in gone]

    def _wrong_summaries(self) -> Iterator[str]:
        if not (self._workspace / "runs").is_dir():
            return
        summaries = read_summaries(self._workspace)
        yield from (f"run {summary.run_id}: {summary.refused_because}" for summary in summaries if summary.name == "?")
        # "killed": in the middle of its push, which the next run has completed
        pushed = Counter(str(summary.pushed_path) for summary in summaries if summary.status == "pushed")
        yield from (f"{path} is claimed by {count} runs" for path, count in pushed.items() if count > 1)
        claimed = {str(summary.pushed_path) for summary in summaries if summary.pushed_version}
        for base in self._bases():
            labelled = {version for version in served_versions(base) if (base / str(version) / "pushed_by").exists()}
            unclaimed = [version for version in labelled if str(base / str(version)) not in claimed]
            yield from (f"{base / str(version)} was pushed, but no run claims it" for version in unclaimed)

    def _open_executions(self) -> list[str]:
        if not has_store(self._metadata):
            return []
        left = [execution.id for execution in open_store(self._metadata).get_executions() if execution.last_known_state in _OPEN]
        return [f"executions {left} are open in the metadata store"] if left else []

    def _unknown_outputs(self) -> Iterator[str]:
        known = {Path(artifact.uri) for artifact in _live(open_store(self._metadata))} if has_store(self._metadata) else set()
        artifacts = self._workspace / "artifacts"
        for folder in artifacts.glob("*/*/*/*/"):
            if folder.name.isdecimal() and not any(path == folder or folder in path.parents for path in known):
                yield f"{folder} belongs to no artifact"
        temporary = list(artifacts.glob("*/*/.system/*/*/"))
        yield from (f"{path} was left" for folder in temporary for path in folder.rglob("*") if path.is_file())
        if len(temporary) > _MOST_TEMPORARY:
            yield f"{len(temporary)} folders of temporary files, such as {temporary[0]}"

    def _leftovers(self) -> Iterator[str]:
        for place in (self._workspace, self._temporary):
            for pattern in _LEFTOVERS:
                yield from (f"{path} was left" for path in place.rglob(pattern))
        yield from (f"{path} was left" for path in self._temporary.iterdir())
        yield from (f"{path} was left" for path in self._workspace.glob("checkpoints/*/*"))

    def _killed_runs(self) -> Iterator[str]:
        for folder in self._workspace.glob("runs/*/"):
            summary = folder / "summary.json"
            if not summary.exists():
                yield f"{folder} has no summary"
            elif json.loads(summary.read_text())["status"] == "started":
                yield f"{folder} still says that it goes on"


def _live(store: metadata_store.MetadataStore) -> list[metadata_store_pb2.Artifact]:
    return [artifact for artifact in store.get_artifacts() if artifact.state == metadata_store_pb2.Artifact.LIVE]
