"""`din rollback` and `din promote`."""

import fcntl
import json

import pytest

import components.serving.store.label_moves
from components.base.errors import InputError
from components.serving.store.models_config import ServedModel, read_models_config, write_models_config
from components.serving.store.rollback_and_promote import promote, rollback
from components.serving.store.versions import read_rolled_back, write_rolled_back
from pipeline.cli.main import main


def make_folder(workspace, name="demo", versions=(1, 2, 3)):
    base = workspace / "serving" / name
    for version in versions:
        (base / str(version)).mkdir(parents=True)
    return base


@pytest.fixture
def base(tmp_path):
    return make_folder(tmp_path)


def serve(base, stable, canary):
    write_models_config(base, ServedModel("demo", "/models/demo", {"canary": canary, "stable": stable}))


def test_rollback_serves_the_version_before(base):
    serve(base, 3, 3)
    assert rollback(base) == ServedModel("demo", "/models/demo", {"canary": 2, "stable": 2})
    assert read_models_config(base).labels == {"canary": 2, "stable": 2}
    assert read_rolled_back(base) == {3}
    assert rollback(base).labels["stable"] == 1
    assert read_rolled_back(base) == {2, 3}
    with pytest.raises(InputError, match=r"keeps no version before 1 that was not rolled back: choose one with --to: 1, 2, 3\."):
        rollback(base)


def test_a_version_that_was_rolled_back_is_skipped_unless_it_is_named(base):
    serve(base, 3, 3)
    write_rolled_back(base, {2})
    assert rollback(base).labels == {"canary": 1, "stable": 1}
    assert read_rolled_back(base) == {2, 3}
    assert rollback(base, 3).labels == {"canary": 3, "stable": 3}
    assert read_rolled_back(base) == {2}


def test_what_had_no_label_was_not_rolled_back(base):
    serve(base, 3, 3)
    assert rollback(base, 1).labels == {"canary": 1, "stable": 1}
    assert read_rolled_back(base) == {3}


def test_a_canary_is_rolled_back_to_the_stable_version(base):
    serve(base, 2, 3)
    assert rollback(base, 2).labels == {"canary": 2, "stable": 2}
    assert read_rolled_back(base) == {3}


def test_a_rollback_withdraws_a_canary_first(base):
    serve(base, 2, 3)
    assert rollback(base).labels == {"canary": 2, "stable": 2}
    assert read_rolled_back(base) == {3}
    assert rollback(base).labels == {"canary": 1, "stable": 1}
    assert read_rolled_back(base) == {2, 3}


def test_a_workspace_without_models_config_serves_its_highest_version(base):
    assert rollback(base) == ServedModel("demo", str(base), {"canary": 2, "stable": 2})
    assert read_models_config(base).labels == {"canary": 2, "stable": 2}


def test_the_canary_becomes_stable(base):
    serve(base, 2, 3)
    assert promote(base) == ServedModel("demo", "/models/demo", {"canary": 3, "stable": 3})
    assert read_models_config(base).labels == {"canary": 3, "stable": 3}
    write_models_config(base, ServedModel("demo", "/models/demo", {"stable": 3}))
    with pytest.raises(InputError, match="has no version labelled canary"):
        promote(base)


@pytest.mark.parametrize("change", [rollback, promote])
def test_a_change_of_labels_excludes_others(base, change, monkeypatch):
    serve(base, 2, 3)
    refused = []

    def write(*args):
        with open(base / ".lock") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        refused.append(change)

    monkeypatch.setattr(components.serving.store.label_moves, "write_models_config", write)
    change(base)
    assert refused == [change]


def test_the_commands_print_what_is_served(tmp_path, base, capsys):
    serve(base, 2, 3)
    assert main(["promote", "--workspace", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{base}: stable 3, canary 3\n"
    assert main(["rollback", "--workspace", str(tmp_path), "--name", "demo", "--poll-seconds", "0"]) == 0
    assert capsys.readouterr().out == f"{base}: stable 2, canary 2\n"
    assert main(["rollback", "--workspace", str(tmp_path), "--to", "3", "--poll-seconds", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "demo", "stable": 3, "canary": 3}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["rollback", "--workspace", "nowhere"], "nowhere has no pushed model"),
        (["promote", "--workspace", "nowhere"], "nowhere has no pushed model"),
        (["rollback", "--name", "other"], "has no pushed model called 'other': there is demo."),
        (["rollback", "--poll-seconds", "nan"], "give seconds, or 0"),
        (["rollback", "--to", "7"], "has no version 7: there is 1, 2, 3."),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(arguments, reason, tmp_path, monkeypatch, capsys):
    make_folder(tmp_path / "workspace")
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and reason in err and err.startswith("din: ") and err.count("\n") == 1
    assert not (tmp_path / "nowhere").exists()
