"""TFX's Transform, which reads whole shards instead of records, with the same result."""

from typing import Any

from tfx.components.transform import component, executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec

from components.base.shard_tfxio import ParsedTFXIO
from components.base.tfx_pins import example_reader


class Executor(executor.Executor):
    """TFX's executor with another reader."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        with example_reader(ParsedTFXIO):
            super().Do(input_dict, output_dict, exec_properties)


class Transform(component.Transform):
    """TFX's component."""

    EXECUTOR_SPEC = BeamExecutorSpec(Executor)
