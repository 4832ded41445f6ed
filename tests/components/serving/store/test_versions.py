"""The folder of a model's versions."""

import errno
from pathlib import Path

import pytest

from components.base.errors import InputError
from components.serving.store.models_config import ServedModel, write_models_config
from components.serving.store.versions import (
    clear_leftovers,
    next_version,
    read_rolled_back,
    read_servers,
    remove_version,
    served_model,
    served_versions,
    serving_folder,
    write_rolled_back,
)


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "demo"
    for name in ("9", "10", "100", ".pushing-101", "eleven"):
        (folder / name / "variables").mkdir(parents=True)
    (folder / "11").touch()
    return folder


def test_versions_are_folders_named_by_integers_in_numeric_order(base, tmp_path):
    assert served_versions(base) == [9, 10, 100]
    assert served_versions(tmp_path / "nowhere") == []


def test_only_names_that_a_push_writes_are_versions(tmp_path):
    for name in ("3", "007", "\u0664", "-5", "5x", str(2**63), "9" * 200):
        (tmp_path / name).mkdir()
    assert served_versions(tmp_path) == [3]


def test_the_highest_version_has_no_next(base):
    """A folder that is named 2**63 - 1: TF Serving can read no higher number (case 22)."""
    assert next_version(base) > 100
    (base / "9000000000000000000").mkdir()
    assert next_version(base) == 9000000000000000001
    (base / str(2**63 - 1)).mkdir()
    with pytest.raises(InputError, match=r"9223372036854775807 has the highest number of a version, so that none can be pushed after it"):
        next_version(base)


@pytest.mark.parametrize(("name", "read"), [("models.config", served_model), ("rolled_back", read_rolled_back)])
def test_a_file_without_permission_is_not_to_be_deleted(base, monkeypatch, name, read):
    """To delete it loses the labels, or what was rolled back (case 22). Root may read everything, so the error is made here."""

    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(InputError, match=rf"{name} cannot be read \(Permission denied\): make it readable\.") as refused:
        read(base)
    assert "delete it" not in str(refused.value).replace("do not delete it", "")


def test_a_name_is_needed_where_there_are_several(tmp_path):
    for name, version in (("demo", "1"), ("empty", ""), ("other", "1")):
        (tmp_path / "serving" / name / version).mkdir(parents=True)
        if name != "other":
            assert serving_folder(tmp_path, None) == tmp_path / "serving" / "demo"
    assert serving_folder(tmp_path, "other") == tmp_path / "serving" / "other"
    with pytest.raises(InputError, match=r"models of several names: choose one with --name: demo, other\."):
        serving_folder(tmp_path, None)
    with pytest.raises(InputError, match=r"has no pushed model called 'empty': there is demo, other\."):
        serving_folder(tmp_path, "empty")


def test_rolled_back_versions_are_a_line_each_while_they_are_there(base):
    assert read_rolled_back(base) == set()
    write_rolled_back(base, {100, 9, 8})
    assert (base / "rolled_back").read_text() == "9\n100\n"
    assert read_rolled_back(base) == {9, 100}
    (base / "rolled_back").write_text("nine\n")
    with pytest.raises(InputError, match="rolled_back must hold one version a line"):
        read_rolled_back(base)


def test_models_config_says_what_is_served(base):
    served = ServedModel("demo", "gs://bucket/demo", {"canary": 10, "stable": 9})
    write_models_config(base, served)
    assert served_model(base) == served


def test_without_models_config_the_highest_version_is_served_that_was_not_rolled_back(base, tmp_path):
    assert served_model(base) == ServedModel("demo", str(base), {"canary": 100, "stable": 100})
    write_rolled_back(base, {100})
    assert served_model(base) == ServedModel("demo", str(base), {"canary": 10, "stable": 10})
    assert served_model(tmp_path / "nowhere") is None


def test_a_removed_version_leaves_nothing(base):
    remove_version(base, 10)
    assert served_versions(base) == [9, 100]
    (base / "9" / ".model_digest.part").touch()
    (base / ".models.config.part").touch()
    clear_leftovers(base)
    assert [path.name for path in (base / "9").iterdir()] == ["variables"]
    assert sorted(path.name for path in base.iterdir()) == ["100", "11", "9", "eleven"]


@pytest.mark.parametrize("content", [b"http://a:8501\n", b"grpc://a\n", b"\xff\xfe"])
def test_a_file_of_servers_that_names_no_servers_is_refused(base, content):
    (base / "servers").write_bytes(content)
    with pytest.raises(InputError, match=r"servers must hold one grpc://HOST:PORT a line, but has .*: correct it, or delete it"):
        read_servers(base)
