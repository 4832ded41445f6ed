"""fetch.sh ends with 75 where PyPI or Maven Central cannot be reached, and with 1 where what it gets or builds is broken."""

import os
import subprocess

import pytest

from tests.conftest import ROOT

SCRIPT = ROOT / "deploy" / "clusters" / "fetch.sh"
_FROM_PYPI = "flink-1.19.3"  # the folder in the cache: with it, only the job server is made


def program(place, text):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)


@pytest.fixture
def fetch(tmp_path):
    """Calls the script with an uv or Maven that prints a message and ends with a status."""
    programs, cache = tmp_path / "bin", tmp_path / "cache/din-tfx/clusters"
    program(programs / "java", "echo 'openjdk version \"17.0.2\"' >&2")
    program(programs / "javac", "")

    def call(name, message, status):
        program(programs / name, f"echo '{message}'; exit {status}")
        if name == "mvn":
            (cache / _FROM_PYPI).mkdir(parents=True)
        environment = {"PATH": f"{programs}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
        ended = subprocess.run([SCRIPT, "flink"], env=environment, capture_output=True, text=True, check=False)
        assert message in ended.stderr.splitlines()  # it is shown
        assert not list(cache.glob("*.jar*")) and (name == "mvn") == (cache / _FROM_PYPI).exists()
        return ended.returncode, ended.stderr.splitlines()[-1]

    return call


@pytest.mark.parametrize(
    ("name", "message", "sentence"),
    [
        (
            "uv",
            "  cause: Failed to fetch: http://127.0.0.1:9/simple/apache-flink-libraries/",
            "clusters: apache-flink-libraries 1.19.3 needs PyPI, see the message above; "
            "call this again where PyPI or a mirror of it can be reached.",
        ),
        (
            "mvn",
            "[ERROR] Could not transfer artifact g:a:pom:2.6 from/to central (http://127.0.0.1:9): transfer failed: Connection refused",
            "clusters: beam-flink-job-server-2.70.0.jar needs Maven Central, see the message above; "
            "call this again where Maven Central or a mirror of it can be reached.",
        ),
    ],
)
def test_a_server_that_cannot_be_reached_has_a_status_of_its_own(fetch, name, message, sentence):
    assert fetch(name, message, 2) == (75, sentence)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("uv", "  cause: Hash mismatch for `apache-flink-libraries==1.19.3`"),
        ("uv", "  cause: Because there is no version of apache-flink-libraries==1.19.3, your requirements are unsatisfiable."),
        ("mvn", "[ERROR] COMPILATION ERROR : "),
        ("mvn", "[ERROR] Could not find artifact org.apache.beam:beam-runners-flink:jar:0.0 in central (https://repo.maven.apache.org)"),
        ("mvn", "[ERROR] Could not transfer artifact g:a:jar:1 from/to central (https://repo): Checksum validation failed, expected x"),
    ],
)
def test_a_broken_build_or_download_is_an_error(fetch, name, message):
    what = {"uv": "apache-flink-libraries 1.19.3", "mvn": "beam-flink-job-server-2.70.0.jar"}[name]
    assert fetch(name, message, 1) == (1, f"clusters: {what} was not made, see the message above.")
