"""Push and rollback, killed before each change to the file system: every version stays whole, and the next call repairs the rest."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import components.serving.store.push as pushing
from components.serving.store.model_digest import DIGEST_FILE, read_digest, write_digest
from components.serving.store.models_config import ServedModel, read_models_config, write_models_config
from components.serving.store.rollback_and_promote import rollback
from components.serving.store.versions import read_rolled_back, served_versions
from tests.components.serving import killing
from tests.components.serving.saved_models import content
from tests.conftest import ROOT

NEW = b"weights 4"


def make_model(folder, weights):
    for part in ("variables", "assets"):
        (folder / part).mkdir(parents=True)
    (folder / "variables" / "weights").write_bytes(weights)
    (folder / "assets" / "vocabulary").write_text("a\nb\n")
    (folder / "saved_model.pb").write_bytes(b"graph")
    return folder


def killed_everywhere(name, start, tmp_path):
    """Returns one folder for each change before which the call was killed."""
    script = Path(killing.__file__)
    subprocess.run([sys.executable, script, name, start, tmp_path / "killed"], check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    folders = sorted((tmp_path / "killed").iterdir(), key=lambda folder: int(folder.name))
    return folders[:-1]


@pytest.fixture
def start(tmp_path):
    """A model to push, and no version yet."""
    folder = tmp_path / "start"
    (folder / "demo").mkdir(parents=True)
    make_model(folder / "model", NEW)
    (folder / "requests").write_bytes(b"warm")
    return folder


@pytest.fixture
def served(start):
    """Versions 1 to 3 and a model to push; version 3 is served."""
    for version in (1, 2, 3):
        folder = make_model(start / "demo" / str(version), f"weights {version}".encode())
        if version < 3:  # 3 is of an older workspace
            write_digest(folder, killing.weights(folder))
    write_models_config(start / "demo", ServedModel("demo", "/models/demo", {"canary": 3, "stable": 3}))
    return start


@pytest.fixture
def without_tensorflow(monkeypatch):
    monkeypatch.setattr(pushing, "model_digest", killing.weights)
    monkeypatch.setattr(pushing, "describe_signatures", lambda model, name: f"signatures of {name}\n")
    monkeypatch.setattr("os.fsync", lambda file: None)


def assert_whole(start, folder):
    """Each version is the one that was there or the pushed one, and its digest is whole; the configuration names such versions only."""
    expected = {path.name: content(path) for path in (start / "demo").iterdir() if path.is_dir()}
    for files in expected.values():
        files.pop(DIGEST_FILE, None)
    pushed = {**content(start / "model"), "assets.extra/tf_serving_warmup_requests": b"warm", "signatures.md": b"signatures of demo\n"}
    versions = served_versions(folder / "demo")
    for version in versions:
        found = content(folder / "demo" / str(version))
        if DIGEST_FILE in found:
            assert read_digest(folder / "demo" / str(version)) == killing.weights(folder / "demo" / str(version))
            del found[DIGEST_FILE]
        else:
            assert version == 3
            found.pop(f".{DIGEST_FILE}.part", None)
        found.pop("not_loaded", None)
        found.pop(".not_loaded.part", None)
        assert found == expected.get(str(version), pushed), (folder.name, version)
    config = read_models_config(folder / "demo")
    assert config is None or set(config.labels.values()) <= set(versions)
    assert config is not None or not (start / "demo" / "models.config").exists()
    return versions


def test_a_push_that_was_killed_anywhere_is_repaired_by_the_next(served, tmp_path, without_tensorflow):
    folders = killed_everywhere("push", served, tmp_path)
    seen = set()
    for folder in folders:
        before = assert_whole(served, folder)
        assert before[-1] > 3 or 3 in before
        labels = read_models_config(folder / "demo").labels
        assert labels["stable"] == labels["canary"] and labels["stable"] in (3, before[-1])
        seen.add((len(before), labels["stable"] > 3))
        version = killing.push(folder).version
        assert assert_whole(served, folder) == [3, version]
        assert before[-1] in (3, version)  # a whole copy is not made again
        assert read_models_config(folder / "demo").labels == {"canary": version, "stable": version}
        there = sorted(path.name for path in (folder / "demo").iterdir())
        assert there == sorted([".lock", ".push.lock", "3", str(version), "models.config", "served"])
        assert (folder / "demo" / "3" / DIGEST_FILE).is_file() and not [*(folder / "demo").rglob("*.part")]
    # nothing yet; whole but not labelled; labelled; versions 1 and 2 removed
    assert seen == {(3, False), (4, False), (4, True), (3, True), (2, True)} and len(folders) > 30


def test_a_first_push_that_was_killed_anywhere_is_repaired_by_the_next(start, tmp_path, without_tensorflow):
    for folder in killed_everywhere("push", start, tmp_path):
        before = assert_whole(start, folder)
        version = killing.push(folder).version
        assert assert_whole(start, folder) == [version] and before in ([], [version])
        assert read_models_config(folder / "demo").labels == {"canary": version, "stable": version}


def test_a_push_of_other_weights_repairs_as_well(served, tmp_path, without_tensorflow):
    for folder in killed_everywhere("push", served, tmp_path):
        whole = [version for version in served_versions(folder / "demo") if version > 3]
        (folder / "model" / "variables" / "weights").write_bytes(b"weights 5")
        version = killing.push(folder).version
        # a whole version that never had a label is kept as a bad one, beside the two good ones
        assert served_versions(folder / "demo") in ([*(whole or [3]), version], [3, *whole, version])
        assert read_models_config(folder / "demo").labels == {"canary": version, "stable": version}


def test_a_rollback_that_was_killed_anywhere_can_be_repeated(served, tmp_path, without_tensorflow):
    folders = killed_everywhere("rollback", served, tmp_path)
    for folder in folders:
        assert assert_whole(served, folder) == [1, 2, 3]
        shutil.copytree(folder, tmp_path / "pushed" / folder.name, symlinks=True)
        if read_models_config(folder / "demo").labels["stable"] == 3:  # otherwise the rollback was complete
            rollback(folder / "demo")
        assert read_models_config(folder / "demo").labels == {"canary": 2, "stable": 2}
        assert read_rolled_back(folder / "demo") == {3}
        version = killing.push(tmp_path / "pushed" / folder.name).version
        assert read_models_config(tmp_path / "pushed" / folder.name / "demo").labels == {"canary": version, "stable": version}
        there = {path.name for path in (tmp_path / "pushed" / folder.name / "demo").iterdir()}
        # if the rollback was killed before it recorded 3 as bad, 3 is one of the two good versions; otherwise it is kept beside them
        assert there - {"rolled_back", "2"} == {".lock", ".push.lock", "3", str(version), "models.config", "served"}
    assert len(folders) > 6
