"""Compiles the DAG for Kubeflow Pipelines and for Vertex: one container a node, and a first one that finds out what the others need.

The specification has the nodes, their order and their artifacts. What a node is asked beside its artifacts often depends on the moment: the
content of the data, the version that is served, the id of the run. So the first container, `Prepare`, checks the data as `din run` does,
compiles the DAG again with what it found, and hands that to all others as an artifact. Each of them takes its own parameters from it.
"""

from typing import Any, NamedTuple

from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig
from tfx.orchestration.pipeline import Pipeline

from pipeline.configuration.kubeflow_config import KubeflowConfig
from pipeline.runners.kubeflow_artifacts import PREPARE, PREPARED

Spec = dict[str, Any]  # a PipelineSpec of KFP's intermediate representation, as JSON

_COMMAND = ["python", "-m", "pipeline.run.kubeflow.container"]
_ARTIFACT = {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}  # of any kind
_EXECUTOR_INPUT = "{{$}}"  # Kubeflow puts the artifacts and parameters of the task here, as JSON
_RUN_ID = "{{$.pipeline_job_uuid}}"  # and here the id of the run


class Submission(NamedTuple):
    """What a compiled pipeline is submitted with.

    Attributes:
        config: The configuration, as JSON. It is part of the pipeline.
        parameters: The parameters of the pipeline, with their defaults; None must be given at submission.
        pipeline_root: Where artifacts are kept; empty leaves it to the submission.
    """

    config: str
    parameters: dict[str, str | None]
    pipeline_root: str


def tfx_spec(dag: Pipeline) -> Spec:
    """Compiles a DAG by TFX's own runner. Its containers have the class of each executor, and its tasks the parameters of each node."""
    settings = KubeflowV2DagRunnerConfig(default_image="unused", use_pipeline_spec_2_1=True)
    dag.pipeline_info.pipeline_name = dag.pipeline_info.pipeline_name.replace("_", "-")  # TFX refuses it in names here
    return KubeflowV2DagRunner(settings).run(dag, write_out=False)["pipelineSpec"]


def compile_spec(dag: Pipeline, settings: KubeflowConfig, submission: Submission) -> Spec:
    """Returns the pipeline that Kubeflow runs.

    Args:
        dag: The DAG. Only its nodes, their order and the types of their artifacts count.
        settings: The containers.
        submission: What the pipeline is submitted with.
    """
    spec = tfx_spec(dag)
    tasks, components = spec["root"]["dag"]["tasks"], spec["components"]
    prepared = {"taskOutputArtifact": {"producerTask": PREPARE, "outputArtifactKey": PREPARED}}
    executors = {}
    for node, task in tasks.items():
        inputs = components[node].setdefault("inputDefinitions", {})
        inputs.pop("parameters", None)
        inputs.setdefault("artifacts", {})[PREPARED] = {"artifactType": _ARTIFACT}
        task["inputs"] = {"artifacts": {**task.get("inputs", {}).get("artifacts", {}), PREPARED: prepared}}
        task["dependentTasks"] = sorted([*task.get("dependentTasks", []), PREPARE])
        task["cachingOptions"] = {}  # Kubeflow's cache does not see code and data
        executors[components[node]["executorLabel"]] = _container(node, settings, ["--node", node])
    label = f"{PREPARE}_executor"
    executors[label] = _container(PREPARE, settings, ["--node", PREPARE, "--run", _RUN_ID, "--config", submission.config])
    components[PREPARE] = {
        "executorLabel": label,
        "inputDefinitions": {"parameters": {name: {"parameterType": "STRING"} for name in submission.parameters}},
        "outputDefinitions": {"artifacts": {PREPARED: {"artifactType": _ARTIFACT}}},
    }
    tasks[PREPARE] = {
        "taskInfo": {"name": PREPARE},
        "componentRef": {"name": PREPARE},
        "inputs": {"parameters": {name: {"componentInputParameter": name} for name in submission.parameters}},
        "cachingOptions": {},
    }
    spec["root"]["inputDefinitions"] = {"parameters": {name: _parameter(value) for name, value in submission.parameters.items()}}
    spec["deploymentSpec"] = {"executors": executors}
    if submission.pipeline_root:
        spec["defaultPipelineRoot"] = submission.pipeline_root
    return spec


def _container(node: str, settings: KubeflowConfig, arguments: list[str]) -> Spec:
    wanted = settings.container(node)
    container: Spec = {"image": wanted.image, "command": _COMMAND, "args": [*arguments, "--executor-input", _EXECUTOR_INPUT]}
    limits: Spec = {}
    if wanted.cpu:
        limits |= {"cpuLimit": wanted.cpu, "resourceCpuLimit": f"{wanted.cpu:g}"}
    if wanted.memory_gib:  # older servers, and Vertex, read a number of GB
        limits |= {"memoryLimit": round(wanted.memory_gib * 2**30 / 1e9, 3), "resourceMemoryLimit": f"{wanted.memory_gib:g}Gi"}
    return {"container": {**container, **({"resources": limits} if limits else {})}}


def _parameter(default: str | None) -> Spec:
    return {"parameterType": "STRING", **({} if default is None else {"defaultValue": default, "isOptional": True})}


def mount_everywhere(spec: Spec, claim: str, path: str) -> Spec:
    """Returns the part of the file that mounts a PersistentVolumeClaim in each container: KFP's specification of the platform."""
    mount = {"mountPath": path, "constant": claim, "pvcNameParameter": {"runtimeValue": {"constant": claim}}}
    executors = {label: {"pvcMount": [mount]} for label in spec["deploymentSpec"]["executors"]}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def vertex_job(spec: Spec, pipeline_root: str) -> Spec:
    """Returns the job that Vertex reads as JSON."""
    root = {"gcsOutputDirectory": pipeline_root} if pipeline_root else {}
    return {"displayName": spec["pipelineInfo"]["name"], "pipelineSpec": spec, "runtimeConfig": root}
