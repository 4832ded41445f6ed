"""`din compile`: it writes the DAG as a pipeline of Kubeflow or Vertex, and refuses what cannot run there."""

import difflib
import json
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from components.base.atomic_files import write_whole
from components.base.errors import InputError
from pipeline.configuration.pipeline_config import PipelineConfig

WORKSPACE = "/din/workspace"  # in the image of deploy/Dockerfile
_VERTEX = "/gcs/"  # where Vertex mounts the buckets


class Target(NamedTuple):
    """Where a compiled pipeline runs.

    Attributes:
        data: The default of its parameter `data`; None: each submission gives it.
        workspace: The workspace as its containers see it.
        pipeline_root: The URI below which artifacts are kept; empty: each submission gives it.
    """

    data: str | None
    workspace: str
    pipeline_root: str


def compile_pipeline(config: PipelineConfig, target: Target, out: Path) -> list[str]:
    """Writes the pipeline to a file.

    Args:
        config: The configuration, which becomes a part of the pipeline.
        target: Where it runs.
        out: `.yaml` for Kubeflow, `.json` for Vertex.

    Returns:
        Sentences on what is needed where it runs.

    Raises:
        InputError: It cannot run there.
    """
    _check_places(config, target, out)
    _check_config(config)
    import yaml

    from components.base.tfx_pins import quick_imports

    with quick_imports():
        from pipeline.dag import create_pipeline
        from pipeline.places import Places, RequestLog
        from pipeline.runners import kubeflow
        from pipeline.runners.kubeflow_artifacts import PREPARE

    workspace = Path(target.workspace)
    places = Places(
        data=Path("data"),
        schema=Path("schema"),
        artifacts=workspace,
        metadata=workspace / "unused",
        checkpoints=workspace,
        serving=workspace,
        baseline=None if config.evaluation.baseline == "none" else workspace,
        logged=RequestLog(Path(config.requests), "") if config.requests else None,
    )
    dag = create_pipeline(config, places, "compiled")
    _check_components(config, [PREPARE, *(node.id for node in dag.components)])
    parameters = {"data": target.data, "workspace": target.workspace, "name": config.name}
    submission = kubeflow.Submission(config.model_dump_json(), parameters, target.pipeline_root)
    spec = json.loads(json.dumps(kubeflow.compile_spec(dag, config.kubeflow, submission)))  # a tree, which YAML writes without anchors
    if out.suffix == ".json":
        text = json.dumps(kubeflow.vertex_job(spec, target.pipeline_root), indent=1) + "\n"
    else:
        volume = [kubeflow.mount_everywhere(spec, config.kubeflow.volume, WORKSPACE)] if config.kubeflow.volume else []
        text = yaml.safe_dump_all([spec, *volume], sort_keys=True, width=120)
    write_whole(out, [text])
    return _needs(config)


def _check_places(config: PipelineConfig, target: Target, out: Path) -> None:
    if out.suffix not in (".yaml", ".yml", ".json"):
        raise InputError(f"--out is {str(out)!r}: name a file .yaml for Kubeflow, or .json for Vertex.")
    if not config.kubeflow.image:
        raise InputError("kubeflow.image is not set: name the image of deploy/Dockerfile in your registry.")
    on_vertex = target.workspace.startswith(_VERTEX)
    if out.suffix == ".json" and not on_vertex:
        raise InputError(
            f"--workspace is {target.workspace!r}, but Vertex keeps only what is below {_VERTEX}: write {_VERTEX}BUCKET/FOLDER."
        )
    if out.suffix == ".json" and config.kubeflow.volume:
        raise InputError("kubeflow.volume cannot be mounted on Vertex: remove the setting; the workspace is in a bucket there.")
    if on_vertex or (config.kubeflow.volume and Path(target.workspace).is_relative_to(WORKSPACE)):
        return
    if config.kubeflow.volume:
        raise InputError(f"--workspace is {target.workspace!r}, but kubeflow.volume is mounted at {WORKSPACE}: name a folder there.")
    raise InputError(
        "kubeflow.volume is not set, so the workspace would be lost: name a PersistentVolumeClaim that all containers can write."
    )


def _check_config(config: PipelineConfig) -> None:
    """Refuses settings that have no meaning without `din run`, or that TFX cannot compile."""
    alone = "a compiled pipeline has no earlier runs to look at"
    refused = {
        "beam.engine": (config.beam.engine != "local", "the workers of an engine do not see the files of a container: set 'local'"),
        "serving.gate": (config.serving.gate == "docker", "TFX cannot compile its InfraValidator: take the gate 'loader'"),
        "training.warm_start": (config.training.warm_start != "none", f"{alone}: set 'none'"),
        "drift": (bool(config.drift), f"{alone}: remove the table, or compare with requests (skew)"),
        "spans.window": (config.spans.window > 0, "TFX cannot compile a window of days: let a scheduler call din run --until-current"),
        "metadata.url": (bool(config.metadata.url), "Kubeflow has a metadata store of its own: remove the setting"),
        "notify.command": (bool(config.notify.command), "only din run calls it: remove it, and let Kubeflow tell how a run ended"),
    }
    for key, (is_set, reason) in refused.items():
        if is_set:
            raise InputError(f"{key} cannot be compiled: {reason}.")


def _check_components(config: PipelineConfig, nodes: Collection[str]) -> None:
    for name in config.kubeflow.components:
        if name not in nodes:
            near = difflib.get_close_matches(name, nodes, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(nodes)}."
            raise InputError(f"kubeflow.components names {name!r}, but no node is called so: {hint}")


def _needs(config: PipelineConfig) -> list[str]:
    files = [config.data_schema.file, config.requests, config.serving.model_server, *config.features.files.values()]
    if not config.evaluation.baseline.isdecimal() and config.evaluation.baseline not in ("served", "none"):
        files.append(config.evaluation.baseline)
    named = sorted({file for file in files if file})
    return [f"Every container must find these at the same paths, on its volume or in its image: {', '.join(named)}."] if named else []
