"""Where the sources of a suite are found, and the messages if they are not."""

import pytest

from benchmarks.peers import peer_environment
from benchmarks.suite import suite_data
from benchmarks.suite.suite_config import load_suite
from benchmarks.suite.suite_data import import_once, locate
from components.base.errors import InputError
from tests.benchmarks.suite.suite_file import SUITE


def data_of(tmp_path, more):
    (tmp_path / "suite.toml").write_text(SUITE.split('[[data]]\nname = "absent"')[0] + more)
    return load_suite(str(tmp_path / "suite.toml")).data[0]


def test_a_package_s_files_stay_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    calls = []

    def unpack(requirement, folder):
        calls.append(requirement)
        folder.mkdir()
        (folder / "there.csv").write_text("")

    monkeypatch.setattr(suite_data, "package_files", lambda requirement: peer_environment.package_files(requirement, unpack))
    data = data_of(tmp_path, 'package = "some==1.2"')
    for _ in range(2):
        assert locate(data, None) == tmp_path / "cache" / "din-tfx" / "packages" / "some-1.2" / "there.csv"
    assert calls == ["some==1.2"]
    with pytest.raises(
        InputError,
        match=r"^some==1\.2 in .*/packages/some-1\.2 has no other\.csv: correct the suite, or delete this folder if it is damaged\.$",
    ):
        locate(data.model_copy(update={"source": "other.csv"}), None)


def test_a_package_that_cannot_be_fetched_says_why(tmp_path, monkeypatch):
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho no route to host >&2\nexit 1\n")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"(?s)^some==1\.2 cannot be fetched, which needs .*uv pip install .* failed:\nno route to host$"):
        locate(data_of(tmp_path, 'package = "some==1.2"'), None)


def test_a_source_without_a_folder_of_sources_says_so(tmp_path):
    with pytest.raises(InputError, match=r"^there\.csv must be in the folder of sources: name this folder with --sources\.$"):
        locate(data_of(tmp_path, ""), None)


def test_bad_settings_of_an_import_are_refused(tmp_path):
    (tmp_path / "there.csv").write_text("")
    data = data_of(tmp_path, 'options = { spilt = "last" }')
    with pytest.raises(InputError, match=r"data set there, options: there is no key 'spilt': did you mean 'split'\?"):
        import_once(data, tmp_path / "there.csv", tmp_path / "data", "")
