"""TFX's Evaluator, which reads whole shards in batches of one size: so the same model has the same metrics to the last digit.

TFX's own reader makes batches whose size follows the time that the last ones took. The last bit of a score depends on the batch in which it
is computed, and that of a sum on the order of its parts.
"""

from typing import Any

from tfx.components.evaluator import component, executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec

from components.base.beam_engine import OnEngine
from components.base.shard_tfxio import ShardTFXIO
from components.base.tfx_pins import example_reader


class Executor(OnEngine, executor.Executor):
    """TFX's executor with another reader."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        with example_reader(ShardTFXIO):
            super().Do(input_dict, output_dict, exec_properties)


class Evaluator(component.Evaluator):
    """TFX's component."""

    EXECUTOR_SPEC = BeamExecutorSpec(Executor)
