"""The part of the configuration that names the engine which runs the Beam pipelines of a run: this process, or a cluster."""

import contextlib
import difflib
import io
import re
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, field_validator, model_validator

from din_trainer.frozen import Frozen

EngineName = Literal["local", "flink", "spark", "dataflow", "portable"]
Option = bool | int | float | str | tuple[str, ...]

_ADDRESS = re.compile(r"[A-Za-z0-9._-]{1,253}:(\d{1,5})")
_MASTERS = {
    "flink": (re.compile(r"\[local\]|(https?://)?[A-Za-z0-9._-]{1,253}:\d{1,5}"), "HOST:PORT of its REST API, or [local]"),
    "spark": (re.compile(r"local(\[[\d*]+\])?|spark://[A-Za-z0-9._-]{1,253}:\d{1,5}"), "spark://HOST:PORT, or local[N]"),
}
_CLUSTERS = {"flink": 18100, "spark": 18200}  # the first port of the cluster that deploy/clusters/flink.sh or spark.sh starts
_USED = {
    "local": (),
    "flink": ("job_server", "workers", "master", "job_server_jar", "parallelism", "options"),
    "spark": ("job_server", "workers", "master", "job_server_jar", "options"),
    "dataflow": ("options",),
    "portable": ("job_server", "workers", "parallelism", "options"),
}
_TAKEN = {
    "runner": "beam.engine",
    "job_endpoint": "beam.job_server",
    "parallelism": "beam.parallelism",
    "flink_master": "beam.master",
    "spark_master_url": "beam.master",
    "flink_job_server_jar": "beam.job_server_jar",
    "spark_job_server_jar": "beam.job_server_jar",
}
_WITHOUT_AN_END = (
    "no_wait_until_finish",
    "output_executable_path",
    "streaming",
    "template_location",
    "dry_run",
    "wait_until_finish_duration",
)
_SECRET = re.compile(r"secret|token|access_key|connection_string")


class BeamConfig(Frozen):
    """Where the nodes that read records by Beam run: StatisticsGen, Transform and Evaluator. No result depends on it."""

    engine: EngineName = Field("local", description="`local` is this process; `portable` is any Beam job server.")
    job_server: str = Field("", description="HOST:PORT of a running Beam job server; by default that of deploy/clusters.")
    workers: str = Field("", description="HOST:PORT of the pool that starts Python workers; by default that of deploy/clusters.")
    master: str = Field("", description="The Flink or Spark master. Without job_server, a job server is started for the run.")
    job_server_jar: str = Field(
        "", description="The jar of the job server that is started; by default, for Flink, that of deploy/clusters."
    )
    parallelism: int = Field(0, ge=0, le=100_000, description="How many parts of a step run at once on Flink; 0: as the cluster is set.")
    options: dict[str, Option] = Field(default_factory=dict, description="Further options of Apache Beam, by name.")

    @field_validator("job_server", "workers")
    @classmethod
    def _check_address(cls, value: str) -> str:
        found = _ADDRESS.fullmatch(value)
        if value and not (found and 0 < int(found[1]) < 2**16):
            raise ValueError("it must be HOST:PORT")
        return value

    @field_validator("options")
    @classmethod
    def _check_options(cls, value: dict[str, Option]) -> dict[str, Option]:
        if value:
            check_options(value)
        return value

    @model_validator(mode="after")
    def _check(self) -> "BeamConfig":
        if self.job_server and self.job_server_jar:
            raise ValueError("beam.job_server runs already, so that beam.job_server_jar has no use: leave out one of them")
        if self.unused and self.engine != "local":
            leave = "leave it out" if len(self.unused) == 1 else "leave them out"
            raise ValueError(f"beam.engine is {self.engine}, which does not use {' and '.join(self.unused)}: {leave}")
        if self.engine in _MASTERS and self.master:
            pattern, form = _MASTERS[self.engine]
            if not pattern.fullmatch(self.master):
                raise ValueError(f"beam.master is {self.master!r}, which is no master of {self.engine}: write {form}")
        if self.engine in _MASTERS and self.job_server_jar and not self.master:
            raise ValueError("beam.job_server_jar needs beam.master, the cluster that its jobs run on: name it")
        if self.engine == "spark" and self.master and self.job_server:
            raise ValueError("beam.job_server has a Spark master already, so that beam.master has no use: leave out one of them")
        if self.engine == "spark" and self.master and not self.job_server_jar:
            raise ValueError(
                "beam.master for spark needs beam.job_server_jar, a jar that also holds Spark (that of deploy/clusters does not): "
                "name one, or start a job server and name it by beam.job_server"
            )
        if self.engine == "portable" and not self.job_server:
            raise ValueError("beam.engine is portable, which needs beam.job_server: name the HOST:PORT of a job server")
        if self.engine == "portable" and not (self.workers or self.has_environment):
            raise ValueError("beam.engine is portable, which needs workers: name beam.workers, or beam.options.environment_type")
        if self.workers and self.has_environment:
            raise ValueError("beam.workers and beam.options.environment_type both say where Python runs: leave out one of them")
        return self

    @property
    def unused(self) -> list[str]:
        """The keys that are set, and that the engine does not use."""
        return [f"beam.{name}" for name in _USED["flink"] if getattr(self, name) and name not in _USED[self.engine]]

    @property
    def has_environment(self) -> bool:
        """Whether the options say where the Python code of a job runs."""
        return "environment_type" in self.options

    @property
    def starts_job_server(self) -> bool:
        """Whether a job server is started for the run."""
        return self.engine in _MASTERS and bool(self.master) and not self.job_server

    @property
    def job_server_address(self) -> str:
        """The running job server; empty if one is started, or if the engine has none."""
        if self.starts_job_server or self.engine in ("local", "dataflow"):
            return ""
        return self.job_server or f"localhost:{_CLUSTERS[self.engine]}"

    @property
    def workers_address(self) -> str:
        """The pool of Python workers; empty if the options name another environment, or if the engine starts its workers itself."""
        if self.has_environment or self.engine in ("local", "dataflow"):
            return ""
        return self.workers or f"localhost:{_CLUSTERS[self.engine] + 2}"

    @property
    def flink_rest(self) -> str:
        """The URL of the REST API of the Flink cluster; empty if it is not known."""
        master = self.master or ("" if self.job_server else f"localhost:{_CLUSTERS['flink'] + 3}")
        if self.engine != "flink" or master in ("", "[local]"):
            return ""
        return master if "://" in master else f"http://{master}"


def is_secret_option(key: str) -> bool:
    """Returns whether a key of the configuration is an option of Beam that holds a secret."""
    return key.startswith("beam.options.") and bool(_SECRET.search(key))


def flags(options: Mapping[str, Option]) -> Iterator[str]:
    """Yields options as Beam's parser reads them."""
    for name, value in options.items():
        if isinstance(value, bool):
            yield f"--{name}" if value else f"--no_{name}"
        else:
            yield from (f"--{name}={part}" for part in (value if isinstance(value, tuple) else (value,)))


def check_options(options: Mapping[str, Option]) -> None:
    """Checks options with Beam's own parser.

    Raises:
        ValueError: Beam has no option of a name, or cannot read a value; or an option belongs to another key, is a secret, or would end a
            job before its result is there.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    known = PipelineOptions(flags=[]).get_all_options()
    for name in options:
        if name in _TAKEN:
            raise ValueError(f"beam.options.{name} is set by {_TAKEN[name]}: use that key")
        if name == "job_name":
            raise ValueError("beam.options.job_name is set by the run, as each job needs a name of its own: leave it out")
        if name in _WITHOUT_AN_END:
            raise ValueError(f"beam.options.{name} makes a job that a run cannot wait for: leave it out")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise ValueError(
                f"Apache Beam has no option {name!r}: {f'did you mean {near[0]!r}?' if near else 'its documentation lists them'}"
            )
        if is_secret_option(f"beam.options.{name}"):
            raise ValueError(f"beam.options.{name} is a secret, which the records of the run would show: give it by the environment")
    for name, value in options.items():
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                read = PipelineOptions(flags=list(flags({name: value}))).get_all_options()[name]
        except (SystemExit, Exception) as error:  # argparse exits; further parts of Beam raise what they happen to
            reason = said.getvalue().strip().rpartition("error: ")[2] or f"argument --{name}: {error}"
            raise ValueError(f"Apache Beam cannot read beam.options ({reason}): correct the value") from error
        if isinstance(value, bool) and read is not value:
            raise ValueError(f"beam.options.{name} cannot be true or false: give it a value")
        if isinstance(value, tuple) and not isinstance(read, list | dict):
            raise ValueError(f"beam.options.{name} is one value, not a list: give it one")
