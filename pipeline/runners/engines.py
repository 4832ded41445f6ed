"""Makes the Beam pipelines that run on the engine of the configuration, and starts what the engine needs for the time of a run."""

import contextlib
import itertools
import re
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pipeline.configuration.beam_config import BeamConfig, flags
from pipeline.runners.job_server import running_job_server

if TYPE_CHECKING:  # Beam takes seconds to import
    import apache_beam as beam


def engine_options(config: BeamConfig, job_server: str = "") -> list[str]:
    """Returns Beam's options for an engine.

    The environments of the Python workers stay for a minute, since the stages of a job follow one another. Beam's list of this machine's
    packages is left out: it takes seconds for each job. As in this process, Beam's check of types is off.

    Args:
        config: The engine, which is not local.
        job_server: The address of the job server; empty for Dataflow, which has none.
    """
    options = ["--no_pipeline_type_check", "--experiments=disable_logging_submission_environment"]
    if config.engine == "dataflow":
        return ["--runner=DataflowRunner", *options, *flags(config.options)]
    options += ["--runner=PortableRunner", f"--job_endpoint={job_server}", "--environment_cache_millis=60000"]
    if config.workers_address:
        options += ["--environment_type=EXTERNAL", f"--environment_config={config.workers_address}"]
    if config.parallelism:
        options.append(f"--parallelism={config.parallelism}")
    return [*options, *flags(config.options)]


@contextlib.contextmanager
def running_engine(
    config: BeamConfig, run: str, notes: list[str], tell: Callable[[str], None]
) -> "Iterator[Callable[[], beam.Pipeline] | None]":
    """Yields a function that makes an empty pipeline of the engine; None if the engine is this process.

    If an error or an interrupt ends the wait for a job, the job is cancelled.

    Args:
        config: The engine.
        run: The name of the run. Names of jobs begin with it, and no two runs have jobs of one name: jobs are cancelled by their name.
        notes: Gets a sentence for each job that could not be cancelled.
        tell: Shows the user a line, when a job is cancelled.

    Raises:
        InputError: The job server cannot be started.
    """
    if config.engine == "local":
        yield None
        return
    from apache_beam.options.pipeline_options import PipelineOptions

    from pipeline.runners.engine_pipeline import Cluster, EnginePipeline

    numbers, name = itertools.count(1), f"{_job_name(run)}-{uuid.uuid4().hex[:8]}"
    with running_job_server(config) as address:

        def make_pipeline() -> "beam.Pipeline":
            options = PipelineOptions(engine_options(config, address))
            cluster = Cluster(address, config.flink_rest, may_return=not config.starts_job_server)
            return EnginePipeline(options, f"{name}-{next(numbers)}", cluster, notes, tell)

        yield make_pipeline


def _job_name(run: str) -> str:
    """A name that Dataflow allows, which is the strictest: it begins with a letter, and has lowercase letters, digits and hyphens."""
    return "din-" + re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")
