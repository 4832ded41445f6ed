"""The script of the Spark cluster, as far as it goes without Spark; `make engines` runs the pipeline on the cluster."""

import os
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tests.conftest import ROOT

SCRIPT = ROOT / "deploy" / "clusters" / "spark.sh"
_MAVEN = {"pom": "http://maven.apache.org/POM/4.0.0"}


def _run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, "DIN_CLUSTER_DIR": str(folder), "DIN_CLUSTER_PORT": "18260", **environment}
    return subprocess.run([SCRIPT, *arguments], env=whole, capture_output=True, text=True, check=False)


def test_status_of_a_cluster_that_does_not_run_names_its_parts(tmp_path: Path) -> None:
    status = _run(tmp_path, "status")
    assert status.returncode == 1
    parts = ["jobserver", "pool", "worker1", "worker2", "master"]
    assert status.stdout.splitlines() == [f"{part}: not running" for part in parts]


def test_stop_of_a_cluster_that_does_not_run_is_no_error(tmp_path: Path) -> None:
    assert _run(tmp_path, "stop").returncode == 0


def test_java_of_another_version_is_refused_in_one_sentence(tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\" 2023-10-17' >&2\n")
    java.chmod(0o755)
    refused = _run(tmp_path / "state", "start", JAVA_HOME=str(tmp_path))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"clusters: Java 17 is needed, and {java} is version 21; install it")
    assert len(refused.stderr.splitlines()) == 1


def test_both_job_servers_have_the_same_versions_of_beam_and_of_its_job_service() -> None:
    def versions(engine: str) -> set[tuple[str | None, str | None]]:
        pom = ElementTree.parse(SCRIPT.with_name(f"beam-{engine}-job-server.pom.xml"))
        every = [
            found for found in pom.iterfind(".//pom:dependency", _MAVEN) if found.findtext("pom:groupId", "", _MAVEN) == "org.apache.beam"
        ]
        named = [(found.findtext("pom:artifactId", "", _MAVEN), found.findtext("pom:version", None, _MAVEN)) for found in every]
        return {("runner" if engine in name else name, version) for name, version in named if version}

    assert versions("spark") == versions("flink") == {("runner", "2.70.0"), ("beam-runners-java-job-service", "2.65.0")}
