"""Checks before a run that its engine can be used: Java, the jar, the cluster, the job server, the worker pool, and Dataflow's options."""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import grpc

from components.base.errors import InputError
from pipeline.configuration.beam_config import BeamConfig
from pipeline.runners.engines import engine_options
from pipeline.runners.job_server import answers, jar_of, java

_OF_DATAFLOW = {
    "project": "the project that pays for it",
    "region": "the region of its workers, e.g. europe-west1",
    "temp_location": "a folder for its temporary files, e.g. gs://BUCKET/temp",
    "sdk_container_image": "an image of deploy/Dockerfile, which its workers run",
}
_NEVER_RUN = "The options for Dataflow are valid, but this project was never run there: its workers must reach the data and the workspace."
_SECONDS = 5


class Problem(NamedTuple):
    """Why an engine cannot be used.

    Attributes:
        what: One sentence: what is missing and what to do, without a full stop.
        command: What may correct it, to be typed.
    """

    what: str
    command: str


def check_engine(config: BeamConfig) -> list[str]:
    """Checks that the engine can be used.

    Returns:
        A sentence for what the user should know of it, if there is something.

    Raises:
        InputError: It cannot.
    """
    if problem := next(engine_problems(config), None):
        raise InputError(f"{problem.what}.")
    if config.engine == "local" and config.unused:
        return [f"beam.engine is local, which does not use {' and '.join(config.unused)}."]
    return [_NEVER_RUN] if config.engine == "dataflow" else []


def engine_problems(config: BeamConfig) -> Iterator[Problem]:
    """Yields what is missing for the engine, what the rest depends on first."""
    if config.engine == "dataflow":
        yield from _problems_of_dataflow(config)
    elif config.engine != "local":
        yield from _problems_of_cluster(config)


def _problems_of_cluster(config: BeamConfig) -> Iterator[Problem]:
    start = f"deploy/clusters/{config.engine}.sh start" if config.engine in ("flink", "spark") else "din doctor --help"
    if config.starts_job_server:
        if java() is None:
            yield Problem(
                "Java is missing, which the job server needs: install Java 17, or set JAVA_HOME", "apt-get install openjdk-17-jre-headless"
            )
        jar = jar_of(config)
        if not jar.is_file():
            what = f"{jar} is missing, the jar of the job server: build it, or name another with beam.job_server_jar"
            yield Problem(what, f"deploy/clusters/fetch.sh {config.engine}")
        if (master := _address(config.flink_rest or config.master)) and not answers(master):
            yield Problem(f"The {config.engine} master at {master} does not answer: start the cluster, or correct beam.master", start)
    elif not _speaks_grpc(config.job_server_address):
        what = f"The Beam job server at {config.job_server_address} does not answer: start it, or correct beam.job_server"
        yield Problem(what, start)
    if config.workers_address and not _speaks_grpc(config.workers_address):
        what = f"The pool of Python workers at {config.workers_address} does not answer: start it, or correct beam.workers"
        yield Problem(what, start)


def _address(master: str) -> str:
    """HOST:PORT of a master; empty for one inside the job server, such as [local]."""
    return "" if master.startswith(("[", "local")) else urlsplit(master if "://" in master else f"//{master}").netloc


def _speaks_grpc(address: str) -> bool:
    """Returns whether a gRPC server answers."""
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_SECONDS)
        except grpc.FutureTimeoutError:
            return False
    return True


def _problems_of_dataflow(config: BeamConfig) -> Iterator[Problem]:
    missing = [name for name in _OF_DATAFLOW if not config.options.get(name)]
    for name in missing:
        what = f"beam.engine is dataflow, but beam.options.{name} is missing: name {_OF_DATAFLOW[name]}"
        yield Problem(what, f"din run --set beam.options.{name}=…")
    if missing:
        return
    from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
    from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    options = PipelineOptions([*engine_options(config), "--dry_run=true"])  # the check calls no cloud
    validator, places = PipelineOptionsValidator(options, DataflowRunner()), options.view_as(GoogleCloudOptions)
    named = [name for name in ("temp_location", "staging_location") if getattr(places, name)]
    # The places first: Beam would make a bucket in place of a wrong one.
    wrong = [error for name in named for error in validator.validate_gcs_path(places, name)] or validator.validate()
    for error in wrong:
        yield Problem(f"Beam refuses the options for Dataflow ({error.rstrip('.')}): correct beam.options", "din run --help")
