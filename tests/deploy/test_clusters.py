"""The script starts a real Flink cluster, on which a node computes what it computes in this process, and stops it without a trace."""

import contextlib
import os
import select
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline

from benchmarks.engines.engine_equality import STATISTICS_TOLERANCE
from components.base.beam_engine import engine
from components.import_example_gen import ImportExampleGen
from components.statistics_gen import StatisticsGen
from din_trainer.transform.raw_schema import make_schema
from pipeline.configuration.load_config import load_config
from pipeline.configuration.node_settings import example_gen_settings, statistics_settings
from pipeline.console import Console
from pipeline.datasets.synthetic import generate
from pipeline.runners.engines import running_engine
from pipeline.runners.local import run_locally
from pipeline.terminal import Progress, complain
from tests.conftest import ROOT

SCRIPT = ROOT / "deploy" / "clusters" / "flink.sh"
_UNREACHABLE = 75  # exit status of fetch.sh if PyPI or Maven Central cannot be reached
pytestmark = pytest.mark.timeout(1500)  # with the downloads, on a busy machine


class Cluster:
    """A cluster in a folder of its own, at ports that no other test uses."""

    def __init__(self, folder):
        self.folder = folder
        self._environment = {**os.environ, "DIN_CLUSTER_DIR": str(folder), "DIN_CLUSTER_PORT": "18160"}

    def __call__(self, *arguments, **environment):
        command, whole = [SCRIPT, *arguments], {**self._environment, **environment}
        return subprocess.run(command, env=whole, capture_output=True, text=True, check=False)

    def processes(self):
        return {file.name: int(file.read_text().split()[0]) for file in (self.folder / "pids").iterdir()}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster that runs, with the settings that its script printed."""
    made = Cluster(tmp_path_factory.mktemp("flink"))
    if missing := [program for program in ("java", "javac", "mvn") if not shutil.which(program)]:
        pytest.skip(f"no Flink cluster: {', '.join(missing)} is missing")
    fetched = subprocess.run([SCRIPT.with_name("fetch.sh"), "flink"], capture_output=True, text=True, check=False)
    if fetched.returncode == _UNREACHABLE:
        pytest.skip(f"no Flink cluster: {fetched.stderr.strip().splitlines()[-1]}")
    assert fetched.returncode == 0, fetched.stderr
    started = made("start")
    assert started.returncode == 0, started.stderr
    made.settings = shlex.split(started.stdout)[1::2]
    yield made
    made("stop")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """3,000 impressions in the layout of the pipeline."""
    folder = tmp_path_factory.mktemp("data") / "data"
    generate(load_config("demo").synthetic.model_copy(update={"examples": 3000, "users": 150, "items": 100}), folder)
    return folder


def statistics(settings, data, folder):
    """Runs the nodes that read the data and compute its statistics. Returns, by split, the statistics with the features by name."""
    config = load_config("demo", settings)
    folder.mkdir()
    schema = folder / "schema.pbtxt"
    schema.write_text(text_format.MessageToString(make_schema(config.features)))
    examples = ImportExampleGen(**example_gen_settings(data))
    imported = ImportSchemaGen(schema_file=str(schema))
    computed = StatisticsGen(examples=examples.outputs["examples"], schema=imported.outputs["schema"], **statistics_settings(config))
    pipeline = Pipeline(
        pipeline_name="statistics",
        pipeline_root=str(folder),
        components=[examples, imported, computed],
        metadata_connection_config=sqlite_metadata_connection_config(str(folder / "metadata.sqlite")),
    )
    with running_engine(config.beam, folder.name, [], complain) as pipelines, engine(pipelines):
        run_locally(pipeline, "run", Progress(Console(stderr=True)))
    (artifact,) = (path for path in (folder / "StatisticsGen" / "statistics").iterdir())
    return {split.name: _numbers(tfdv.load_stats_binary(str(split / "FeatureStats.pb"))) for split in sorted(artifact.iterdir())}


def _numbers(found):
    """The figures of each feature that are counted or summed over all impressions."""
    (dataset,) = found.datasets
    numbers = {"impressions": dataset.num_examples}
    for feature in dataset.features:
        kind = feature.WhichOneof("stats")
        stats = getattr(feature, kind)
        numbers[feature.path.step[0]] = [stats.common_stats.num_non_missing, stats.common_stats.tot_num_values]
        if kind == "num_stats":
            numbers[feature.path.step[0]] += [stats.mean, stats.std_dev, stats.num_zeros, stats.min, stats.median, stats.max]
        else:
            numbers[feature.path.step[0]] += [stats.unique, stats.avg_length]
            numbers[f"most frequent in {feature.path.step[0]}"] = {value.value: value.frequency for value in stats.top_values}
    return numbers


def test_a_node_on_flink_computes_what_it_computes_in_this_process(cluster, data, tmp_path):
    local, on_flink = statistics([], data, tmp_path / "local"), statistics(cluster.settings, data, tmp_path / "flink")
    assert local["Split-train"]["impressions"] == 2400
    assert on_flink == {split: {name: _near(value) for name, value in found.items()} for split, found in local.items()}
    assert list(cluster.folder.glob("logs/worker-*.log"))  # it was computed there


def _near(value):
    return value if isinstance(value, dict) else pytest.approx(value, rel=STATISTICS_TOLERANCE)


def test_a_second_start_begins_only_what_does_not_run(cluster):
    before = cluster.processes()
    pool = os.pidfd_open(before["pool"])
    os.kill(before["pool"], signal.SIGKILL)
    select.select([pool], [], [], 60)  # until it has ended
    assert cluster("start").returncode == 0
    after = cluster.processes()
    assert after["pool"] != before.pop("pool")
    assert {name: process for name, process in after.items() if name != "pool"} == before
    assert cluster("status").returncode == 0


def test_a_cluster_at_ports_that_are_in_use_is_refused_in_one_sentence(cluster, tmp_path):
    refused = cluster("start", DIN_CLUSTER_DIR=str(tmp_path))
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == "clusters: port 18163 is in use; set DIN_CLUSTER_PORT to the first of ten free ports."
    assert not list((tmp_path / "pids").iterdir())


def test_stop_leaves_no_process_and_no_temporary_file(cluster):
    processes = cluster.processes()
    assert set(processes) == {"jobmanager", "taskmanager1", "taskmanager2", "jobserver", "pool"}
    stopped = cluster("stop")
    assert stopped.returncode == 0, stopped.stderr
    sessions = {session for state, _, _, session, *_ in _stats() if state != "Z"}
    assert not {str(process) for process in processes.values()} & sessions  # nor a worker, which is in the session of its pool
    assert sorted(path.name for path in cluster.folder.iterdir()) == ["conf", "lock", "logs", "pids"]
    assert not list((cluster.folder / "pids").iterdir())
    assert cluster("status").returncode == 1


def _stats():
    """The fields of /proc/PID/stat after the name, of each process."""
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            yield place.read_text().rpartition(") ")[2].split()


def test_java_of_another_version_is_refused_in_one_sentence(tmp_path):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    refused = Cluster(tmp_path / "state")("start", JAVA_HOME=str(tmp_path))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"clusters: Java 17 is needed, and {java} is version 11; install it")
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (
            ["stop", "taskmanager3"],
            {},
            "there is no process taskmanager3; the processes are jobserver pool taskmanager1 taskmanager2 jobmanager.",
        ),
        (["start"], {"DIN_CLUSTER_PORT": "http"}, "DIN_CLUSTER_PORT is http; set it to a port between 1024 and 65000."),
        (["begin"], {}, f"usage: {SCRIPT} start | stop [PROCESS] | status"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(tmp_path, arguments, environment, sentence):
    refused = Cluster(tmp_path)(*arguments, **environment)
    assert (refused.returncode, refused.stderr) == (1, f"clusters: {sentence}\n")
