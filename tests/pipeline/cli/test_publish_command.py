"""`din publish`, and what `din promote`, `rollback` and `status` say and return when the store cannot be written."""

import json

import pytest

from components.serving.store.models_config import ServedModel, read_models_config, write_models_config
from components.serving.store.versions import write_store
from pipeline.cli.main import main


@pytest.fixture
def workspace(tmp_path):
    """Versions 1 and 2 of `demo`; 2 is the canary. Their store is not written yet."""
    base = tmp_path / "workspace" / "serving" / "demo"
    for version in (1, 2):
        (base / str(version)).mkdir(parents=True)
        (base / str(version) / "saved_model.pb").write_text(f"graph {version}")
    url = f"file://{tmp_path}/store/demo"
    write_models_config(base, ServedModel("demo", url, {"canary": 2, "stable": 1}))
    write_store(base, url)
    return tmp_path / "workspace"


def din(capsys, *args):
    code = main([str(arg) for arg in args])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_publish_brings_what_status_says_is_missing(workspace, tmp_path, capsys):
    base, url = workspace / "serving" / "demo", f"file://{tmp_path}/store/demo"
    code, out, _ = din(capsys, "status", "--workspace", workspace)
    assert code == 1 and f"{url}: lacks version 1 in served/" in out
    assert din(capsys, "publish", "--workspace", workspace) == (0, f"{url} has what {base} serves.\n", "")
    code, out, _ = din(capsys, "status", "--workspace", workspace, "--json")
    assert code == 0 and json.loads(out)["store"] == {"url": url, "lacks": []}
    assert (tmp_path / "store" / "demo" / "models.config").read_bytes() == (base / "models.config").read_bytes()


def test_a_promotion_and_a_rollback_stand_where_the_store_cannot_be_written(workspace, tmp_path, capsys):
    base, url = workspace / "serving" / "demo", f"file://{tmp_path}/store/demo"
    (tmp_path / "store").write_text("a file where the folder must be")
    code, out, err = din(capsys, "promote", "--workspace", workspace)
    assert (code, out) == (1, f"{base}: stable 2, canary 2\n")
    assert err.startswith(f"din: {url} does not have what {base} serves, because it could not be written (")
    assert err.endswith("): din publish --name demo repeats it.\n")
    code, out, err = din(capsys, "rollback", "--workspace", workspace, "--poll-seconds", "0")
    assert code == 1 and read_models_config(base).labels == {"canary": 1, "stable": 1}
    code, out, err = din(capsys, "publish", "--workspace", workspace)
    assert code == 1 and "din publish --name demo repeats it" in err
    (tmp_path / "store").unlink()
    assert din(capsys, "publish", "--workspace", workspace)[0] == 0
    assert b'key: "stable"\n      value: 1' in (tmp_path / "store" / "demo" / "models.config").read_bytes()


def test_a_folder_without_a_store_is_told_how_to_get_one(workspace, capsys):
    write_store(workspace / "serving" / "demo", "")
    code, _, err = din(capsys, "publish", "--workspace", workspace)
    assert code == 2
    assert err == (f"din: {workspace}/serving/demo has no store: push with din run --set serving.store=s3://BUCKET/FOLDER.\n")
