"""TFX's StatisticsGen, which reads whole shards instead of records, with the same statistics."""

from functools import partial
from typing import Any

import tensorflow_data_validation as tfdv
from tfx.components.statistics_gen import component, executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import standard_component_specs

from components.base.beam_engine import OnEngine
from components.base.id_lengths import total_length
from components.base.shard_tfxio import ShardTFXIO
from components.base.tfx_pins import example_reader, integer_lengths

_OPTIONS = standard_component_specs.STATS_OPTIONS_JSON_KEY


class Executor(OnEngine, executor.Executor):
    """TFX's executor with another reader, with ids that are measured by value, and with a sample of single impressions."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        given = exec_properties.get(_OPTIONS)
        options = tfdv.StatsOptions.from_json(given) if given else tfdv.StatsOptions()
        reader = partial(ShardTFXIO, sample=options.sample_rate or 1.0)
        options.sample_rate = None  # TFDV would take or leave whole batches
        with example_reader(reader), integer_lengths(total_length):
            super().Do(input_dict, output_dict, {**exec_properties, _OPTIONS: options.to_json()})


class StatisticsGen(component.StatisticsGen):
    """TFX's component."""

    EXECUTOR_SPEC = BeamExecutorSpec(Executor)
