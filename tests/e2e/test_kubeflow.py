"""The demo, compiled for Kubeflow: each container's command is run as a process of its own, as Kubeflow would in a pod, to a pushed model.

KFP's own SDK reads the file and fills the placeholders. No cluster is here: what is shown is that the entry points work.
"""

import json
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from kfp import components as kfp_components
from kfp.local.placeholder_utils import replace_placeholders

from tests.conftest import ROOT
from tests.e2e.conftest import TINY, din

IMAGE, CLAIM, WORKSPACE = "registry.example/din-tfx:18", "din-workspace", "/din/workspace"
SETTINGS = (
    *(setting for setting in TINY if not setting.startswith("notify")),
    "training.epochs=1",
    "tuner.trials=2",
    "evaluation.bootstrap.replicates=20",
    "evaluation.importance.impressions=200",
    f"kubeflow.image={IMAGE}",
    f"kubeflow.volume={CLAIM}",
    "kubeflow.memory_gib=8",
    "kubeflow.components.Trainer.cpu=4",
    f"kubeflow.components.Trainer.image={IMAGE}-large",
)


class Container(NamedTuple):
    """A container that has ended."""

    code: int
    out: str
    err: str
    output: dict[str, Any]


class Cluster:
    """What a cluster does with the compiled pipeline: it starts containers in the order of the DAG, and hands on their artifacts.

    Args:
        spec: The compiled pipeline.
        place: Where artifacts are kept.
        parameters: Those of the submission.
    """

    def __init__(self, spec: dict[str, Any], place: Path, parameters: dict[str, str]):
        self.spec, self.place = spec, place
        self.tasks = spec["root"]["dag"]["tasks"]
        declared = spec["root"]["inputDefinitions"]["parameters"]
        self.parameters = {name: parameters.get(name, declared[name].get("defaultValue")) for name in declared}
        self.artifacts: dict[tuple[str, str], dict[str, Any]] = {}

    def order(self) -> list[str]:
        return list(TopologicalSorter({name: task.get("dependentTasks", []) for name, task in self.tasks.items()}).static_order())

    def executor_input(self, name: str) -> dict[str, Any]:
        task, component = self.tasks[name], self.spec["components"][name]
        asked = task["inputs"]
        inputs: dict[str, Any] = {"parameterValues": {}, "artifacts": {}}
        for parameter, source in asked.get("parameters", {}).items():
            inputs["parameterValues"][parameter] = self.parameters[source["componentInputParameter"]]
        for artifact, source in asked.get("artifacts", {}).items():
            assert source["taskOutputArtifact"]["producerTask"] in task["dependentTasks"]
            produced = self.artifacts[source["taskOutputArtifact"]["producerTask"], source["taskOutputArtifact"]["outputArtifactKey"]]
            inputs["artifacts"][artifact] = {"artifacts": [produced]}
        outputs: dict[str, Any] = {"artifacts": {}, "outputFile": str(self.place / name / "executor_output.json")}
        for artifact, declared in component.get("outputDefinitions", {}).get("artifacts", {}).items():
            made = {
                "name": f"{name}-{artifact}",
                "type": declared["artifactType"],
                "uri": str(self.place / name / artifact),
                "metadata": declared.get("metadata", {}),
            }
            outputs["artifacts"][artifact] = {"artifacts": [made]}
        return {"inputs": inputs, "outputs": outputs}

    def run(self, name: str, workdir: Path) -> Container:
        """Runs one container to its end, and keeps what it put out."""
        container = self.spec["deploymentSpec"]["executors"][self.spec["components"][name]["executorLabel"]]["container"]
        executor_input = self.executor_input(name)
        command = replace_placeholders(
            [*container["command"], *container["args"]], executor_input, "demo-run", name, str(self.place), "8c1f0a52"
        )
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
        ended = subprocess.run(command, cwd=workdir, env=environment, capture_output=True, text=True, check=False)
        file = Path(executor_input["outputs"]["outputFile"])
        output = json.loads(file.read_text()) if file.is_file() else {}
        for artifact, listed in executor_input["outputs"]["artifacts"].items():
            (made,) = listed["artifacts"]
            (told,) = output.get("artifacts", {}).get(artifact, {}).get("artifacts", [{}])
            self.artifacts[name, artifact] = made | {"metadata": made["metadata"] | told.get("metadata", {})}
        return Container(ended.returncode, ended.stdout, ended.stderr, output)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 synthetic impressions."""
    out = tmp_path_factory.mktemp("data") / "impressions"
    made = din("synth", "--examples", 3000, "--users", 100, "--items", 60, "--categories", 6, "--out", out)
    assert made.code == 0, made.err
    return out


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    out = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    where = ("--workspace", WORKSPACE, "--pipeline-root", "minio://mlpipeline/din", "--out", out)
    made = din("compile", "--runner", "kubeflow", "--config", "demo", *(f"--set={setting}" for setting in SETTINGS), *where)
    assert made == (0, f"Wrote {out}.\n", "")
    return out


class Ended(NamedTuple):
    """A run without a version to compare with, and the containers of a second one that depend on the version which the first has pushed.

    The second one asks for an AUC that no model reaches.
    """

    workspace: Path
    first: dict[str, Container]
    second: dict[str, Container]
    artifacts: dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory, data: Path, compiled: Path) -> Ended:
    spec, _ = yaml.safe_load_all(compiled.read_text())
    place = tmp_path_factory.mktemp("cluster")
    workspace, elsewhere = place / "workspace", place / "working-folder"
    elsewhere.mkdir()
    parameters = {"workspace": str(workspace), "data": str(data), "name": "ranking"}
    cluster = Cluster(spec, place / "store", parameters)
    first: dict[str, Container] = {}
    for task in cluster.order():
        first[task] = cluster.run(task, elsewhere)
        assert first[task].code == 0, f"{task}: {first[task].err}"
    arguments = spec["deploymentSpec"]["executors"]["Prepare_executor"]["container"]["args"]
    at = arguments.index("--config") + 1
    config = json.loads(arguments[at])
    config["evaluation"]["thresholds"]["auc"]["at_least"] = 0.999
    arguments[at] = json.dumps(config)
    again = Cluster(spec, place / "store-2", parameters)
    again.artifacts |= cluster.artifacts
    changed = ("Prepare", "Baseline", "Evaluator", "UserBootstrap", "Verdict", "Pusher")
    second = {task: again.run(task, elsewhere) for task in again.order() if task in changed}
    return Ended(workspace, first, second, again.artifacts)


def test_every_container_runs_to_a_pushed_model(containers):
    assert len(containers.first) == 20
    (version,) = [folder for folder in (containers.workspace / "serving" / "ranking").iterdir() if folder.name.isdecimal()]
    assert (version / "saved_model.pb").is_file()
    labels = (containers.workspace / "serving" / "ranking" / "models.config").read_text()
    assert f'key: "stable"\n      value: {version.name}' in labels
    assert f"Pushed: {version}." in containers.first["Pusher"].out.splitlines()
    pushed = containers.first["Pusher"].output["artifacts"]["pushed_model"]["artifacts"][0]["metadata"]
    assert (pushed["pushed"], pushed["pushed_version"]) == (1, version.name)
    assert "Impressions: train 2,400, validation 300, eval 300." in containers.first["Prepare"].out


def test_a_second_run_meets_the_served_version_and_a_refused_model_fails_it(containers):
    """The first run has nothing to compare with. The second one does, and its last container ends as `din run` does: with 3."""
    assert {task: container.code for task, container in containers.second.items()} == {
        "Prepare": 0, "Baseline": 0, "Evaluator": 0, "UserBootstrap": 0, "Verdict": 0, "Pusher": 3,
    }  # fmt: skip
    assert list(Path(containers.artifacts["Baseline", "result"]["uri"]).rglob("saved_model.pb"))
    verdict = json.loads((Path(containers.artifacts["Verdict", "blessing"]["uri"]) / "verdict.json").read_text())
    (overall,) = [row["metrics"]["auc"] for row in verdict["slices"] if not row["key"]]
    assert overall["baseline"] == overall["value"] and overall["change"]["value"] == 0  # the served model is the one that is judged
    assert containers.second["Pusher"].err.splitlines()[-1].startswith("din: refused: auc is ")
    assert len([folder for folder in (containers.workspace / "serving" / "ranking").iterdir() if folder.name.isdecimal()]) == 1


def test_the_file_has_no_path_of_this_machine(compiled):
    text = compiled.read_text()
    for path in {ROOT, Path.home(), Path(sys.prefix), Path(sys.base_prefix), compiled.parent, Path.cwd()} - {Path("/")}:
        assert str(path) not in text


def test_kubeflow_reads_the_file(compiled):
    """KFP's SDK loads it as it would before an upload: parameters and their defaults."""
    component = kfp_components.load_component_from_file(str(compiled))
    inputs = component.component_spec.inputs
    assert {name: (found.type, found.default) for name, found in inputs.items()} == {
        "data": ("String", None),
        "workspace": ("String", WORKSPACE),
        "name": ("String", "demo"),
    }
    assert not inputs["data"].optional and inputs["name"].optional
    mounted = component.platform_spec.platforms["kubernetes"].deployment_spec.executors
    assert set(mounted) == {f"{node}_executor" for node in component.pipeline_spec.components}


def test_image_volume_and_limits_of_each_container(compiled):
    spec, platform = yaml.safe_load_all(compiled.read_text())
    containers = {label: executor["container"] for label, executor in spec["deploymentSpec"]["executors"].items()}
    trainer = containers.pop("Trainer_executor")
    assert trainer["image"] == f"{IMAGE}-large"
    assert trainer["resources"] == {
        "cpuLimit": 4.0, "resourceCpuLimit": "4", "memoryLimit": 8.59, "resourceMemoryLimit": "8Gi",
    }  # fmt: skip
    assert {container["image"] for container in containers.values()} == {IMAGE}
    assert all(container["resources"] == {"memoryLimit": 8.59, "resourceMemoryLimit": "8Gi"} for container in containers.values())
    mounts = [executor["pvcMount"] for executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()]
    assert {(mount["mountPath"], mount["constant"]) for (mount,) in mounts} == {(WORKSPACE, CLAIM)}
    assert len(mounts) == len(containers) + 1
    assert spec["defaultPipelineRoot"] == "minio://mlpipeline/din"
    assert all(task["cachingOptions"] == {} for task in spec["root"]["dag"]["tasks"].values())
