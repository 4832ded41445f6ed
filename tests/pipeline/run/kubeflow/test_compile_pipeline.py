"""What `din compile` refuses, in one sentence each, and the file that it writes for Vertex."""

import json
from pathlib import Path

import pytest
from google.cloud.aiplatform.utils import pipeline_utils

from components.base.errors import InputError
from pipeline.configuration.load_config import load_config
from pipeline.run.kubeflow.compile_pipeline import Target, compile_pipeline
from tests.conftest import ROOT

IMAGE, VOLUME = "kubeflow.image=registry.example/din:1", "kubeflow.volume=din"


def compiled(out: Path, *settings: str, workspace="/din/workspace", root="", data=None) -> list[str]:
    return compile_pipeline(load_config("demo", settings), Target(data, workspace, root), out)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (["serving.gate=docker"], r"serving\.gate cannot be compiled: TFX cannot compile its InfraValidator"),
        (["training.warm_start=served"], r"training\.warm_start cannot be compiled"),
        (["drift.user_id.at_most=0.1"], r"drift cannot be compiled"),
        (["spans.window=7"], r"spans\.window cannot be compiled: TFX cannot compile a window of days"),
        (["metadata.url=postgresql://din:secret@db/mlmd"], r"metadata\.url cannot be compiled"),
        (["beam.engine=flink"], r"beam\.engine cannot be compiled"),
        (['notify.command=["page-me"]'], r"notify\.command cannot be compiled"),
        (["kubeflow.components.Trainr.cpu=4"], r"kubeflow\.components names 'Trainr', but no node is called so: did you mean 'Trainer'\?"),
    ],
)
def test_what_cannot_run_there_is_refused(tmp_path, settings, why):
    out = tmp_path / "pipeline.yaml"
    with pytest.raises(InputError, match=why) as error:
        compiled(out, IMAGE, VOLUME, *settings)
    assert "\n" not in str(error.value) and "secret" not in str(error.value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "settings", "workspace", "why"),
    [
        ("p.txt", [IMAGE, VOLUME], "/din/workspace", r"name a file \.yaml for Kubeflow, or \.json for Vertex"),
        ("p.yaml", [VOLUME], "/din/workspace", r"kubeflow\.image is not set"),
        ("p.yaml", [IMAGE], "/din/workspace", r"kubeflow\.volume is not set"),
        ("p.yaml", [IMAGE, VOLUME], "/elsewhere", r"kubeflow\.volume is mounted at /din/workspace"),
        ("p.json", [IMAGE], "/din/workspace", r"Vertex keeps only what is below /gcs/"),
        ("p.json", [IMAGE, VOLUME], "/gcs/bucket", r"kubeflow\.volume cannot be mounted on Vertex"),
    ],
)
def test_places_that_do_not_fit_are_refused(tmp_path, name, settings, workspace, why):
    with pytest.raises(InputError, match=why):
        compiled(tmp_path / name, *settings, workspace=workspace)


def test_the_json_is_a_job_that_the_sdk_of_vertex_reads(tmp_path):
    out, root = tmp_path / "job.json", "gs://bucket/din"
    compiled(out, IMAGE, "name=a_b", workspace="/gcs/bucket/workspace", root=root, data="/gcs/bucket/data")
    job = json.loads(out.read_text())
    builder = pipeline_utils.PipelineRuntimeConfigBuilder.from_job_spec_json(job)
    builder.update_runtime_parameters({"name": "ranking"})
    submitted = builder.build()
    assert (submitted["gcsOutputDirectory"], submitted["parameterValues"]) == (root, {"name": "ranking"})
    assert job["pipelineSpec"]["pipelineInfo"]["name"] == job["displayName"] == "a-b"  # Vertex refuses `_`
    declared = job["pipelineSpec"]["root"]["inputDefinitions"]["parameters"]
    defaults = {name: parameter["defaultValue"] for name, parameter in declared.items()}
    assert defaults == {"data": "/gcs/bucket/data", "workspace": "/gcs/bucket/workspace", "name": "a_b"}
    assert "platforms" not in job


def test_the_image_has_the_python_that_the_containers_call(tmp_path):
    out = tmp_path / "job.json"
    compiled(out, IMAGE, workspace="/gcs/bucket")
    executors = json.loads(out.read_text())["pipelineSpec"]["deploymentSpec"]["executors"].values()
    assert {tuple(executor["container"]["command"]) for executor in executors} == {("python", "-m", "pipeline.run.kubeflow.container")}
    assert "ENV PATH=/din/.venv/bin:$PATH" in (ROOT / "deploy" / "Dockerfile").read_text().splitlines()


def test_nodes_follow_the_configuration_and_files_that_it_names_are_said(tmp_path):
    out = tmp_path / "job.json"
    notes = compiled(
        out, IMAGE, "requests=/gcs/bucket/log", "evaluation.importance.impressions=0", "evaluation.baseline=none", workspace="/gcs/bucket"
    )
    tasks = json.loads(out.read_text())["pipelineSpec"]["root"]["dag"]["tasks"]
    assert {"RequestExamples", "RequestStatistics", "Prepare"} <= tasks.keys()
    assert not {"FeatureImportance", "Baseline", "Tuner"} & tasks.keys()
    assert notes == ["Every container must find these at the same paths, on its volume or in its image: /gcs/bucket/log."]


def test_a_search_is_a_container_before_the_training(tmp_path):
    out = tmp_path / "job.json"
    compiled(out, IMAGE, "tuner.trials=3", workspace="/gcs/bucket")
    spec = json.loads(out.read_text())["pipelineSpec"]
    found = spec["root"]["dag"]["tasks"]["Trainer"]["inputs"]["artifacts"]["hyperparameters"]["taskOutputArtifact"]
    assert found == {"producerTask": "Tuner", "outputArtifactKey": "best_hyperparameters"}
    assert {"Transform", "Prepare"} <= set(spec["root"]["dag"]["tasks"]["Tuner"]["dependentTasks"])
