"""What is missing for an engine is said before anything runs, in one sentence with the command that starts or builds it."""

import socket
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from components.base.errors import InputError
from pipeline.configuration.beam_config import BeamConfig
from pipeline.runners import check_engine as checks
from pipeline.runners.check_engine import check_engine, engine_problems


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(checks, "_SECONDS", 0.2)


@pytest.fixture
def server():
    """The address of a gRPC server, which has no service."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


@pytest.fixture
def nobody():
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{probe.getsockname()[1]}"


def said(config):
    return [(problem.what, problem.command) for problem in engine_problems(config)]


def test_this_process_needs_nothing():
    assert check_engine(BeamConfig()) == []


def test_settings_that_this_process_does_not_use_are_a_note():
    """They are not refused: with `--engine local`, the rest of the table stays in the configuration."""
    config = BeamConfig(master="flink:8081", parallelism=4, options={"project": "a"})
    assert check_engine(config) == ["beam.engine is local, which does not use beam.master and beam.parallelism and beam.options."]


def test_a_job_server_and_a_pool_that_answer_are_enough(server):
    assert check_engine(BeamConfig(engine="flink", job_server=server, workers=server)) == []


def test_a_job_server_and_a_pool_that_do_not_answer(nobody, server):
    assert said(BeamConfig(engine="flink", job_server=nobody, workers=nobody)) == [
        (f"The Beam job server at {nobody} does not answer: start it, or correct beam.job_server", "deploy/clusters/flink.sh start"),
        (f"The pool of Python workers at {nobody} does not answer: start it, or correct beam.workers", "deploy/clusters/flink.sh start"),
    ]
    with pytest.raises(InputError, match=r"^The pool of Python workers at"):
        check_engine(BeamConfig(engine="spark", job_server=server, workers=nobody))


def test_what_a_job_server_needs_that_is_started(monkeypatch, tmp_path, nobody, server):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    config = BeamConfig(engine="flink", master=nobody, workers=server, job_server_jar=str(tmp_path / "a.jar"))
    java, jar, master = said(config)
    assert java == (
        "Java is missing, which the job server needs: install Java 17, or set JAVA_HOME",
        "apt-get install openjdk-17-jre-headless",
    )
    assert jar[0] == f"{tmp_path / 'a.jar'} is missing, the jar of the job server: build it, or name another with beam.job_server_jar"
    assert jar[1] == "deploy/clusters/fetch.sh flink"
    assert master[0] == f"The flink master at {nobody} does not answer: start the cluster, or correct beam.master"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch(0o755)
    (tmp_path / "a.jar").touch()
    assert said(config.model_copy(update={"master": "[local]"})) == []


def test_a_spark_master_is_asked_at_its_port(nobody, server):
    config = BeamConfig(engine="spark", master=f"spark://{nobody}", workers=server, job_server_jar="spark.jar")
    assert any(what.startswith(f"The spark master at {nobody} does not answer") for what, _ in said(config))


DATAFLOW = {
    "project": "my-project",
    "region": "europe-west1",
    "temp_location": "gs://bucket/temp",
    "sdk_container_image": "eu.gcr.io/my-project/din:1",
}


def dataflow(**changes):
    return BeamConfig(engine="dataflow", options={name: value for name, value in {**DATAFLOW, **changes}.items() if value})


@pytest.mark.parametrize("name", DATAFLOW)
def test_each_option_that_dataflow_needs_is_named(name):
    ((what, _),) = said(dataflow(**{name: ""}))
    assert what.startswith(f"beam.engine is dataflow, but beam.options.{name} is missing: name ")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"temp_location": "s3://bucket/temp"}, "Invalid GCS path (s3://bucket/temp), given for the option: temp_location"),
        ({"project": "123"}, "Invalid Project ID (123)"),
        ({"num_workers": 9, "max_num_workers": 3}, "num_workers (9) cannot exceed max_num_workers (3)"),
    ],
)
def test_beam_s_own_validator_reads_the_options_of_dataflow_without_the_cloud(changes, reason, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("the check asks the network"))
    ((what, _),) = said(dataflow(**changes))
    assert what.startswith(f"Beam refuses the options for Dataflow ({reason}") and what.endswith("): correct beam.options")


def test_valid_options_of_dataflow_come_with_the_note_that_it_was_never_run(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("the check asks the network"))
    (note,) = check_engine(dataflow())
    assert "this project was never run there" in note
