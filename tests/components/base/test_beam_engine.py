"""The executors of nodes make their Beam pipelines with the engine of this process."""

from pathlib import Path

import apache_beam as beam
import pytest
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from components.base.beam_engine import OnEngine, engine
from components.evaluator import Evaluator
from components.statistics_gen import StatisticsGen
from components.transform import Transform
from pipeline.runners.beam_options import local_options

EXECUTORS = [node.EXECUTOR_SPEC.executor_class for node in (StatisticsGen, Transform, Evaluator)]


def made(executor):
    """The pipeline of a node, whose executor is made as TFX does."""
    return executor(BaseBeamExecutor.Context(beam_pipeline_args=local_options()))._make_beam_pipeline()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_executors_use_the_engine_while_there_is_one(executor):
    pipeline = beam.Pipeline(argv=["--runner=FnApiRunner"])
    with engine(lambda: pipeline):
        assert made(executor) is pipeline
        with engine(None):
            assert made(executor) is not pipeline
        assert made(executor) is pipeline
    assert made(executor) is not pipeline


class Writes(BaseBeamExecutor):
    """An executor whose job leaves a result and the temporary folder of a task that was started twice."""

    def Do(self, input_dict, output_dict, exec_properties):
        for artifact in output_dict["examples"]:
            left = Path(artifact.uri) / "Split-train" / "beam-temp-part-0"
            left.mkdir(parents=True)
            (left / "half").touch()
            (left.parent / "part-0").touch()


class OnCluster(OnEngine, Writes):
    pass


def test_what_repeated_tasks_of_a_cluster_left_is_deleted(tmp_path):
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path)
    with engine(lambda: None):
        OnCluster(BaseBeamExecutor.Context(beam_pipeline_args=local_options())).Do({}, {"examples": [artifact]}, {})
    assert [path.name for path in (tmp_path / "Split-train").iterdir()] == ["part-0"]


def test_without_an_engine_tfx_s_own_arguments_count():
    pipeline = EXECUTORS[0](BaseBeamExecutor.Context(beam_pipeline_args=["--runner=FnApiRunner", "--project=a"]))._make_beam_pipeline()
    assert pipeline.options.get_all_options()["project"] == "a"
