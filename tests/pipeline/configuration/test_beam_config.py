"""The table `[beam]`: the addresses that follow from it, and what is refused in one sentence."""

import pytest

from components.base.errors import InputError
from pipeline.configuration.beam_config import BeamConfig, flags
from pipeline.configuration.load_config import load_config


def test_by_default_nothing_leaves_this_process():
    beam = load_config(None).beam
    assert beam.engine == "local" and beam.job_server_address == beam.workers_address == beam.flink_rest == ""


def test_an_engine_alone_means_the_cluster_that_the_script_starts():
    flink, spark = BeamConfig(engine="flink"), BeamConfig(engine="spark")
    assert (flink.job_server_address, flink.workers_address) == ("localhost:18100", "localhost:18102")
    assert flink.flink_rest == "http://localhost:18103"
    assert (spark.job_server_address, spark.workers_address, spark.flink_rest) == ("localhost:18200", "localhost:18202", "")


def test_a_master_without_a_job_server_has_one_started():
    beam = BeamConfig(engine="flink", master="cluster:8081", workers="pool:50000")
    assert beam.starts_job_server and beam.job_server_address == ""
    assert beam.flink_rest == "http://cluster:8081" and beam.workers_address == "pool:50000"
    both = BeamConfig(engine="flink", master="https://cluster:8081", job_server="jobs:8099")
    assert not both.starts_job_server and both.job_server_address == "jobs:8099" and both.flink_rest == "https://cluster:8081"
    assert BeamConfig(engine="flink", job_server="jobs:8099").flink_rest == ""  # which cluster it uses is not known
    assert BeamConfig(engine="flink", master="[local]").flink_rest == ""


def test_an_environment_of_the_options_takes_the_place_of_the_pool():
    assert BeamConfig(engine="flink", options={"environment_type": "DOCKER"}).workers_address == ""


def test_options_are_written_as_beam_reads_them():
    options = {"project": "a", "num_workers": 3, "experiments": ("x", "y=z"), "use_public_ips": False, "no_auth": True}
    assert list(flags(options)) == [
        "--project=a",
        "--num_workers=3",
        "--experiments=x",
        "--experiments=y=z",
        "--no_use_public_ips",
        "--no_auth",
    ]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["beam.options.projct=a"], "Apache Beam has no option 'projct': did you mean 'project'?"),
        (["beam.options.num_workers=lots"], "argument --num_workers: invalid int value: 'lots'"),
        (["beam.options.runner=FlinkRunner"], "beam.options.runner is set by beam.engine: use that key"),
        (["beam.options.streaming=true"], "makes a job that a run cannot wait for"),
        (["beam.options.s3_secret_access_key=hush"], "beam.options.s3_secret_access_key is a secret"),
        (["beam.options.project=true"], "argument --project: expected one argument"),
        (["beam.options.project=false"], "beam.options.project cannot be true or false"),
        (["beam.engine=portable"], "needs beam.job_server"),
        (["beam.engine=portable", "beam.job_server=a:1"], "needs workers"),
        (["beam.engine=flink", "beam.master=spark://a:1"], "is no master of flink: write HOST:PORT"),
        (["beam.engine=spark", "beam.master=a:1"], "is no master of spark: write spark://HOST:PORT"),
        (["beam.engine=spark", "beam.master=spark://a:1"], "beam.master for spark needs beam.job_server_jar, a jar that also holds Spark"),
        (["beam.engine=spark", "beam.master=spark://a:1", "beam.job_server=a:2"], "so that beam.master has no use: leave out one of them"),
        (["beam.engine=spark", "beam.parallelism=4"], "beam.engine is spark, which does not use beam.parallelism: leave it out"),
        (["beam.engine=dataflow", "beam.workers=a:1", "beam.master=a:2"], "does not use beam.workers and beam.master: leave them out"),
        (["beam.engine=portable", "beam.job_server=a:1", "beam.master=a:2"], "which does not use beam.master: leave it out"),
        (["beam.options.job_name=mine"], "beam.options.job_name is set by the run, as each job needs a name of its own: leave it out"),
        (['beam.options.temp_location=["gs://a", "gs://b"]'], "beam.options.temp_location is one value, not a list: give it one"),
        (["beam.options.gcs_custom_audit_entries=7"], "cannot read beam.options (argument --gcs_custom_audit_entries: 'int' object"),
        (["beam.options.sdk_harness_log_level_overrides=7"], "cannot read beam.options (argument --sdk_harness_log_level_overrides: 'int'"),
        (["beam.engine=flink", "beam.job_server_jar=a.jar"], "beam.job_server_jar needs beam.master"),
        (["beam.job_server=a:1", "beam.job_server_jar=a.jar"], "leave out one of them"),
        (["beam.workers=a:1", "beam.options.environment_type=DOCKER"], "both say where Python runs"),
        (["beam.engine=prism"], "'flink', 'spark', 'dataflow' or 'portable'"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(settings, sentence):
    with pytest.raises(InputError) as error:
        load_config(None, settings)
    assert sentence in str(error.value) and str(error.value).startswith("--set beam.")


def test_lists_for_options_of_several_values_are_kept():
    settings = ['beam.options.experiments=["a", "b"]', 'beam.options.sdk_harness_log_level_overrides=["{\\"a\\": \\"INFO\\"}"]']
    assert load_config(None, settings).beam.options["experiments"] == ("a", "b")


def test_a_secret_is_not_repeated():
    with pytest.raises(InputError) as error:
        load_config(None, ["beam.options.s3_secret_access_key=hush"])
    assert str(error.value).startswith("--set beam.options.s3_secret_access_key=…: ") and "hush" not in str(error.value)
