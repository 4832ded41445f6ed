"""The peers' environment, with a fake installer."""

import threading

import pytest

from benchmarks.peers import peer_environment
from components.base.errors import InputError


def put_python(folder):
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()


def test_a_damaged_environment_names_the_folder_to_delete(tmp_path):
    folder = tmp_path / "peers-1"
    peer_environment.prepare(folder, put_python).unlink()
    with pytest.raises(InputError, match=rf"^{folder}/bin/python is missing although it was installed: delete {folder}, and"):
        peer_environment.prepare(folder, put_python)


def test_the_environment_is_installed_once_and_again_if_that_was_cut_short(tmp_path):
    folder = tmp_path / "cache" / "peers-1"
    calls = []

    def install(folder, fails=False):
        calls.append(folder.exists())
        put_python(folder)
        if fails:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        peer_environment.prepare(folder, lambda folder: install(folder, fails=True))
    for _ in range(2):
        assert peer_environment.prepare(folder, install) == folder / "bin" / "python"
    assert calls == [False, False]  # the incomplete one was deleted


def test_two_at_once_install_it_once(tmp_path):
    calls, both_run = [], threading.Event()

    def install(folder):
        calls.append(folder)
        both_run.wait()
        put_python(folder)

    threads = [threading.Thread(target=peer_environment.prepare, args=(tmp_path / "peers-1", install)) for _ in range(2)]
    for thread in threads:
        thread.start()
    both_run.set()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_other_requirements_are_another_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = peer_environment.cache_folder()
    monkeypatch.setattr(peer_environment, "REQUIREMENTS", ("torch==1",))
    assert before.parent == peer_environment.cache_folder().parent == tmp_path / "din-tfx" and before != peer_environment.cache_folder()


def test_a_failed_installation_names_its_step_and_reason(monkeypatch, tmp_path):
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho no route to host >&2\n[ $1 = venv ]\n")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(InputError, match=r"(?s)uv pip install .* torch-rechub==.* failed:\nno route to host"):
        peer_environment.prepare(tmp_path / "peers-1")
