"""A run whose data is in S3 and whose versions are published to S3, twice: the second one has a baseline."""

from components.base.stores import named_path
from components.serving.store.models_config import link_folder
from tests.e2e.conftest import din, run
from tests.object_store import copy_tree, credentials


def test_data_from_s3_and_versions_in_s3(bucket, s3_url, tiny_data, tmp_path):
    data, workspace = copy_tree(tiny_data, bucket / "impressions"), tmp_path / "workspace"
    settings = (f"serving.store={bucket}serving",)
    first = run(workspace, data, settings)
    assert first.code == 0, first.err
    assert (first.summary["status"], first.summary["data"]) == ("pushed", f"{bucket}impressions")
    second = run(workspace, data, (*settings, "training.seed=7"))
    assert second.code == 0, second.err
    versions = [result.summary["pushed_version"] for result in (first, second)]
    assert second.summary["baseline"]["version"] == versions[0]
    assert "ImportExampleGen" in second.summary["cached"]  # known by ETags: nothing was downloaded
    assert second.summary["data_fingerprint"] == first.summary["data_fingerprint"]

    base, store = workspace / "serving" / "default", named_path(f"{bucket}serving/default")
    assert (store / "models.config").read_bytes() == (base / "models.config").read_bytes()
    served = store / "served" / str(link_folder(base)) / str(versions[1])
    assert (served / "saved_model.pb").read_bytes() == (base / str(versions[1]) / "saved_model.pb").read_bytes()
    status = din("status", "--workspace", workspace)
    assert (status.code, f"{store}: has what is served" in status.out) == (0, True)

    secret = credentials(s3_url)["AWS_SECRET_ACCESS_KEY"]
    assert secret not in "".join((first.out, first.err, second.out, second.err, status.out))
    assert not [file for file in workspace.glob("runs/*/*") if file.is_file() and secret.encode() in file.read_bytes()]
