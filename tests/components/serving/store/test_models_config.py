"""`models.config` is read by TF Serving's own proto."""

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from components.base.errors import InputError
from components.serving.store.models_config import ServedModel, move_labels, read_models_config, write_models_config

SERVED = ServedModel("demo", "/models/demo", {"canary": 12, "stable": 9})


@pytest.fixture
def folder(tmp_path):
    for version in (9, 12):
        (tmp_path / str(version)).mkdir()
    return tmp_path


def test_tf_serving_reads_the_versions_and_their_labels(folder):
    write_models_config(folder, SERVED)
    (model,) = text_format.Parse((folder / "models.config").read_text(), ModelServerConfig()).model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("demo", "/models/demo", "tensorflow")
    assert list(model.model_version_policy.specific.versions) == [9, 12]
    assert dict(model.version_labels) == {"stable": 9, "canary": 12}


def test_one_version_of_two_labels_is_loaded_once(folder):
    write_models_config(folder, SERVED._replace(labels={"canary": 9, "stable": 9}))
    assert (folder / "models.config").read_text().count("versions: 9") == 1


def test_what_is_written_is_read(folder):
    assert read_models_config(folder) is None
    write_models_config(folder, SERVED)
    assert read_models_config(folder) == SERVED
    assert sorted(path.name for path in folder.iterdir()) == ["12", "9", "models.config"]


def loaded(folder):
    (model,) = text_format.Parse((folder / "models.config").read_text(), ModelServerConfig()).model_config_list.config
    return list(model.model_version_policy.specific.versions), dict(model.version_labels)


def test_a_version_is_loaded_for_two_polls_before_a_label_moves_to_it(folder, monkeypatch):
    """TF Serving's documentation demands this for a label that is in use."""
    waits = []
    monkeypatch.setattr("components.serving.store.models_config.time.sleep", lambda seconds: waits.append((seconds, loaded(folder))))
    first = SERVED._replace(labels={"canary": 9, "stable": 9})
    move_labels(folder, first, 5)
    assert waits == []  # no label was in use
    move_labels(folder, SERVED, 5)
    assert waits == [(10, ([9, 12], {"canary": 9, "stable": 9}))]
    assert loaded(folder) == ([9, 12], {"canary": 12, "stable": 9})
    move_labels(folder, SERVED._replace(labels={"canary": 12, "stable": 12}), 5)
    assert len(waits) == 1  # it was loaded
    assert loaded(folder) == ([12], {"canary": 12, "stable": 12})
    move_labels(folder, first, 0)
    assert len(waits) == 1 and read_models_config(folder) == first


def test_a_write_that_fails_leaves_the_old_one(folder, monkeypatch):
    write_models_config(folder, SERVED)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("components.base.atomic_files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_models_config(folder, SERVED._replace(labels={"stable": 12}))
    assert read_models_config(folder) == SERVED
    assert sorted(path.name for path in folder.iterdir()) == ["12", "9", "models.config"]


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
