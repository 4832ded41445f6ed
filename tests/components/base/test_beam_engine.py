"""The executors of nodes make their Beam pipelines with the engine of this process."""

import apache_beam as beam
import pytest
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor

from components.base.beam_engine import engine
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


def test_without_an_engine_tfx_s_own_arguments_count():
    pipeline = EXECUTORS[0](BaseBeamExecutor.Context(beam_pipeline_args=["--runner=FnApiRunner", "--project=a"]))._make_beam_pipeline()
    assert pipeline.options.get_all_options()["project"] == "a"
