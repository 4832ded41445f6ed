"""Brings the shards of a data set into the pipeline as they are: they are copied, and no record passes through Beam.

Splits, spans and versions are those of TFX's ImportExampleGen. The cache follows the content of the shards, where TFX's own follows their
sizes and the seconds of their last changes.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tfx.components.example_gen import driver, input_processor, utils
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils

from components.base.cores import usable_cores
from components.base.errors import DataError
from components.base.examples_format import set_format
from components.base.shards import copy_shard, hash_shard, shard_files, split_fingerprint
from components.base.stores import named_path


def _shards(base: str, split: example_gen_pb2.Input.Split) -> list[Path]:
    """The shards of a split, whose pattern names a folder (`train/*`) or several (`day=2026-11-24/*/*`)."""
    folders = sorted(folder for folder in named_path(base).glob(str(Path(split.pattern).parent)) if folder.name[0] not in "._")
    return [shard for folder in folders for shard in shard_files(folder)]


class _ContentProcessor(input_processor.FileBasedInputProcessor):
    """TFX's patterns of spans, with a fingerprint of the content. The range names the span: TFX would look for it in local files."""

    def resolve_span_and_version(self) -> tuple[int, None]:
        return self._range_config.static_range.start_span_number if self._range_config else 0, None

    def get_input_fingerprint(self, span: int, version: int | None) -> str:
        lines = []
        for split in self._splits:
            resolved = example_gen_pb2.Input.Split(pattern=self.get_pattern_for_span_version(split.pattern, span, version))
            lines.append(split_fingerprint(split.name, [hash_shard(shard) for shard in _shards(self._input_base_uri, resolved)]))
        return "\n".join(lines)


class Driver(driver.FileBasedDriver):
    """TFX's driver, with a fingerprint of the content."""

    def get_input_processor(
        self,
        splits: Iterable[example_gen_pb2.Input.Split],
        range_config: range_config_pb2.RangeConfig | None = None,
        input_base_uri: str | None = None,
    ) -> input_processor.InputProcessor:
        return _ContentProcessor(str(input_base_uri), splits, range_config)


class Executor(BaseBeamExecutor):
    """Copies the shards of each split into the Examples artifact, in their order. Only its type is Beam's, as TFX demands of the component.

    Raises:
        DataError: A shard is not the one that was hashed just before.
    """

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        config = example_gen_pb2.Input()
        proto_utils.json_to_proto(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], config)
        base = exec_properties[standard_component_specs.INPUT_BASE_KEY]
        examples = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        examples.split_names = artifact_utils.encode_split_names([split.name for split in config.splits])
        expected = exec_properties[utils.FINGERPRINT_PROPERTY_NAME].splitlines()
        for split, fingerprint in zip(config.splits, expected, strict=True):
            shards = _shards(base, split)
            folder = Path(artifact_utils.get_split_uri([examples], split.name))
            folder.mkdir(parents=True)
            targets = [folder / f"data_tfrecord-{number:05d}-of-{len(shards):05d}.gz" for number in range(len(shards))]
            with ThreadPoolExecutor(usable_cores()) as threads:
                hashes = list(threads.map(copy_shard, shards, targets))
            if split_fingerprint(split.name, hashes) != fingerprint:
                raise DataError(f"{named_path(base) / split.name} was changed while it was read: start the run again when it is complete.")
        set_format(examples)


class ImportExampleGen(FileBasedExampleGen):
    """TFX's component for data that is split into folders of TFRecords already."""

    EXECUTOR_SPEC = BeamExecutorSpec(Executor)
    DRIVER_CLASS = Driver
