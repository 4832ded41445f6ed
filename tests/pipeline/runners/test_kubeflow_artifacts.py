"""The local paths of artifacts are those that KFP's own SDK gives them."""

import pytest
from kfp import dsl

from components.base.errors import InputError
from pipeline.runners.kubeflow_artifacts import local_path, with_local_paths, with_uris

URIS = ("gs://bucket/a/b", "minio://mlpipeline/v2/artifacts/x", "s3://bucket/a", "/mnt/store/a")
EXECUTOR_INPUT = {
    "inputs": {"artifacts": {"model": {"artifacts": [{"uri": "gs://bucket/model", "name": "m"}]}}},
    "outputs": {
        "artifacts": {"blessing": {"artifacts": [{"uri": "minio://bucket/blessing"}]}},
        "outputFile": "gs://bucket/executor_output.json",
    },
}


@pytest.mark.parametrize("uri", URIS)
def test_a_uri_has_the_path_of_the_sdk(uri):
    assert local_path(uri) == dsl.Artifact(uri=uri).path


@pytest.mark.parametrize("uri", ["oci://registry/image", "hdfs://host/a", "https://host/a"])
def test_other_stores_are_refused(uri):
    with pytest.raises(InputError, match=f"{uri}: Kubeflow brings no files"):
        local_path(uri)


def test_an_executor_input_is_mapped_to_paths_and_its_output_back():
    before = str(EXECUTOR_INPUT)
    here = with_local_paths(EXECUTOR_INPUT)
    assert here["inputs"]["artifacts"]["model"]["artifacts"] == [{"uri": "/gcs/bucket/model", "name": "m"}]
    assert here["outputs"]["outputFile"] == "/gcs/bucket/executor_output.json"
    put_out = {"artifacts": {"blessing": {"artifacts": [{"uri": "/minio/bucket/blessing", "metadata": {"blessed": 1}}]}}}
    expected = {"uri": "minio://bucket/blessing", "metadata": {"blessed": 1}}
    assert with_uris(put_out, EXECUTOR_INPUT)["artifacts"]["blessing"]["artifacts"] == [expected]
    assert str(EXECUTOR_INPUT) == before
