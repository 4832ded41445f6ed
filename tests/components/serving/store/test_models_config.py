"""`models.config` is read by TF Serving's own proto."""

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from components.base.errors import InputError
from components.serving.store.models_config import ServedModel, link_folder, read_models_config, write_models_config
from components.serving.store.served_links import linked_versions

SERVED = ServedModel("demo", "/models/demo", {"canary": 12, "stable": 9})


@pytest.fixture
def folder(tmp_path):
    for version in (9, 12):
        (tmp_path / str(version)).mkdir()
    return tmp_path


def asked(folder):
    (model,) = text_format.Parse((folder / "models.config").read_text(), ModelServerConfig()).model_config_list.config
    return model


def test_tf_serving_reads_the_labels_and_loads_all_versions_in_a_folder_of_links(folder):
    write_models_config(folder, SERVED, now=1000.9)
    model = asked(folder)
    assert (model.name, model.base_path, model.model_platform) == ("demo", "/models/demo/served/1000", "tensorflow")
    assert model.model_version_policy.WhichOneof("policy_choice") == "all"
    assert dict(model.version_labels) == {"stable": 9, "canary": 12}
    links = folder / "served" / "1000"
    assert {path.name: path.resolve() for path in links.iterdir()} == {"9": folder / "9", "12": folder / "12"}
    assert (links / "9").readlink().as_posix() == "../../9"  # so that TF Serving may see the folder elsewhere


def test_a_new_file_leaves_a_version_by_a_new_folder_and_adds_a_version_to_all_folders(folder):
    """A server that refuses the new file still finds the new version, and no load of an old one is disturbed."""
    write_models_config(folder, SERVED._replace(labels={"stable": 9, "canary": 9}), now=1000)
    write_models_config(folder, SERVED._replace(labels={"stable": 12, "canary": 12}), now=1000)  # the same second
    assert linked_versions(folder, 1000) == [9, 12] and linked_versions(folder, 1001) == [12]
    assert link_folder(folder) == 1001 and asked(folder).base_path.endswith("/served/1001")


def test_a_file_of_an_older_release_names_no_folder_of_links(folder):
    (folder / "models.config").write_text(text("version_labels { key: 'stable' value: 9 }"))
    assert link_folder(folder) is None and read_models_config(folder) == ServedModel("demo", "/demo", {"stable": 9})


def test_what_is_written_is_read(folder):
    assert read_models_config(folder) is None
    write_models_config(folder, SERVED)
    assert read_models_config(folder) == SERVED
    assert sorted(path.name for path in folder.iterdir()) == ["12", "9", "models.config", "served"]


def test_a_write_that_fails_leaves_the_old_one(folder, monkeypatch):
    write_models_config(folder, SERVED)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("components.base.atomic_files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_models_config(folder, SERVED._replace(labels={"stable": 12}))
    assert read_models_config(folder) == SERVED
    assert sorted(path.name for path in folder.iterdir()) == ["12", "9", "models.config", "served"]


def text(fields):
    return f"model_config_list {{ config {{ name: 'demo' base_path: '/demo' model_platform: 'tensorflow' {fields} }} }}"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("model_config_list { confg {} }", "cannot be read"),
        ("\xff", "cannot be read"),
        ("", "must name one model with a version labelled stable"),
        (text("version_labels { key: 'canary' value: 9 }"), "must name one model with a version labelled stable"),
        (text("version_labels { key: 'stable' value: 8 }"), "names version 8, which is not there"),
        (
            text("model_version_policy { specific { versions: 7 } } version_labels { key: 'stable' value: 9 }"),
            "names version 7, which is not there",
        ),
    ],
)
def test_what_tf_serving_could_not_load_is_refused_in_one_sentence(folder, written, reason):
    (folder / "models.config").write_text(written, encoding="latin-1")
    with pytest.raises(InputError, match=reason) as raised:
        read_models_config(folder)
    message = str(raised.value)
    assert message.startswith(f"{folder / 'models.config'} ") and "\n" not in message and message.endswith(": correct it, or delete it.")
