"""The options of an engine, and the job server that is started for a run."""

import os
import re
import socket
import stat
import sys

import pytest

from components.base.errors import InputError
from pipeline.configuration.beam_config import BeamConfig
from pipeline.runners import job_server
from pipeline.runners.engines import engine_options, running_engine
from pipeline.runners.job_server import default_jar, running_job_server
from pipeline.terminal import complain

ALWAYS = ["--no_pipeline_type_check", "--experiments=disable_logging_submission_environment"]


def test_the_options_of_flink():
    config = BeamConfig(engine="flink", workers="pool:50000", parallelism=4, options={"sdk_worker_parallelism": 2})
    assert engine_options(config, "jobs:8099") == [
        *ALWAYS,
        "--runner=PortableRunner",
        "--job_endpoint=jobs:8099",
        "--environment_cache_millis=60000",
        "--environment_type=EXTERNAL",
        "--environment_config=pool:50000",
        "--parallelism=4",
        "--sdk_worker_parallelism=2",
    ]


def test_an_environment_of_the_options_is_the_only_one():
    config = BeamConfig(engine="portable", job_server="jobs:8099", options={"environment_type": "DOCKER"})
    assert engine_options(config, "jobs:8099")[-2:] == ["--environment_cache_millis=60000", "--environment_type=DOCKER"]


def test_the_options_of_dataflow_have_no_job_server():
    assert engine_options(BeamConfig(engine="dataflow", options={"region": "a"})) == ["--runner=DataflowRunner", *ALWAYS, "--region=a"]


def test_this_process_needs_no_pipeline_of_an_engine():
    with running_engine(BeamConfig(), "demo", [], complain) as make_pipeline:
        assert make_pipeline is None


def test_beam_reads_the_options_and_each_job_has_a_name_of_its_own():
    with running_engine(BeamConfig(engine="flink"), "20261128T004200-Demo_a", [], complain) as make_pipeline:
        first, second = make_pipeline(), make_pipeline()
    options = first.options.get_all_options()
    assert (options["job_endpoint"], options["environment_config"]) == ("localhost:18100", "localhost:18102")
    assert options["job_server_timeout"] == 300 and options["pipeline_type_check"] is False
    names = [re.fullmatch(r"(din-20261128t004200-demo-a-[0-9a-f]{8})-([12])", pipeline._prefix) for pipeline in (first, second)]
    assert names[0][1] == names[1][1] and (names[0][2], names[1][2]) == ("1", "2")


def test_no_two_runs_have_jobs_of_one_name():
    """Jobs are cancelled by name: an interrupted `din predict` must not cancel that of somebody else on the same cluster."""
    prefixes = set()
    for _ in range(2):
        with running_engine(BeamConfig(engine="flink"), "predict", [], complain) as make_pipeline:
            prefixes.add(make_pipeline()._prefix)
    assert len(prefixes) == 2


# A job server in Python: it listens at its port, and writes down its arguments and how it ends.
JAVA = f"""#!{sys.executable}
import pathlib, signal, socket, sys, time
arguments = dict(argument.partition("=")[::2] for argument in sys.argv[1:])
place = pathlib.Path(__file__).parent
(place / "arguments").write_text("\\n".join(sys.argv[1:]))
def end(*_):
    (place / "ended").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
server = socket.create_server((arguments["--job-host"], int(arguments["--job-port"])))
while True:
    server.accept()[0].close()
"""


@pytest.fixture
def java_home(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    def write(program):
        java = tmp_path / "bin" / "java"
        java.write_text(program)
        java.chmod(java.stat().st_mode | stat.S_IXUSR)
        return tmp_path / "bin"

    return write


STARTED = BeamConfig(engine="flink", master="cluster:8081", job_server_jar="/opt/jobs.jar")


def test_a_job_server_is_started_for_the_run_on_loopback_and_ended(java_home):
    place = java_home(JAVA)
    with running_job_server(STARTED) as address:
        host, port = address.split(":")
        socket.create_connection((host, int(port)), timeout=5).close()
        arguments = (place / "arguments").read_text().splitlines()
        assert host == "localhost" and not (place / "ended").exists()
    assert arguments[arguments.index("-jar") + 1] == "/opt/jobs.jar"
    assert {"--flink-master=http://cluster:8081", "--job-host=localhost", f"--job-port={port}"} <= set(arguments)
    assert (place / "ended").exists()
    (artifacts,) = (argument.partition("=")[2] for argument in arguments if argument.startswith("--artifacts-dir="))
    assert not os.path.exists(artifacts)  # noqa: PTH110


def test_a_job_server_is_ended_if_the_run_fails(java_home):
    place = java_home(JAVA)
    with pytest.raises(ValueError), running_job_server(STARTED):
        raise ValueError
    assert (place / "ended").exists()


def test_a_job_server_that_ends_at_once_is_a_sentence(java_home):
    java_home(f"#!{sys.executable}\nraise SystemExit(1)\n")
    with (
        pytest.raises(InputError, match=r"^The job server ended while it started: look at what it says in the log"),
        running_job_server(STARTED),
    ):
        pass


def test_a_job_server_that_never_listens_is_ended(java_home, monkeypatch):
    java_home(f"#!{sys.executable}\nimport signal\nsignal.pause()\n")
    monkeypatch.setattr(job_server, "_START_SECONDS", 0)
    with pytest.raises(InputError, match="did not start within 0 s"), running_job_server(STARTED):
        pass


def test_a_running_job_server_is_used_as_it_is():
    with running_job_server(BeamConfig(engine="spark", job_server="jobs:8099")) as address:
        assert address == "jobs:8099"


def test_the_jar_is_that_of_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_jar() == tmp_path / "din-tfx" / "clusters" / "beam-flink-job-server-2.70.0.jar"
