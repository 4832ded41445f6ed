"""TFX's Transform, which reads whole shards instead of records, with the same result, and counts each day of a window once."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfx.components.transform import component, executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import standard_artifacts
from tfx.types.standard_component_specs import ANALYZER_CACHE_KEY, CUSTOM_CONFIG_KEY, UPDATED_ANALYZER_CACHE_KEY

from components.base.beam_engine import OnEngine
from components.base.shard_tfxio import ParsedTFXIO
from components.base.tfx_pins import example_reader
from din_trainer.config import ANALYZER_CACHE_KEY as CACHE_FOLDER_KEY
from din_trainer.config import SOURCE_KEY


class Executor(OnEngine, executor.Executor):
    """TFX's executor with another reader, and with an analyzer cache in a folder.

    TFX passes its analyzer cache from run to run as an artifact. Then each run has another cache as its input, so that a repeated run finds
    none of its later nodes in TFX's cache of nodes. A folder is no input.
    """

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        custom = json.loads(exec_properties.get(CUSTOM_CONFIG_KEY) or "null") or {}
        with contextlib.ExitStack() as stack:
            stack.enter_context(example_reader(ParsedTFXIO))
            if folder := custom.get(CACHE_FOLDER_KEY):
                before, after = stack.enter_context(_cache(Path(folder), custom[SOURCE_KEY]))
                input_dict = {**input_dict, ANALYZER_CACHE_KEY: [_artifact(before)]}
                output_dict = {**output_dict, UPDATED_ANALYZER_CACHE_KEY: [_artifact(after)]}
            super().Do(input_dict, output_dict, exec_properties)


@contextlib.contextmanager
def _cache(folder: Path, source: str) -> Iterator[tuple[Path, Path]]:
    """Yields the folder to read and the folder to write. The second takes the place of the first if nothing is raised.

    What other code has counted is deleted: TFT's keys do not say which code that was.
    """
    before, after, gone = (folder / f"{source}{suffix}" for suffix in ("", ".new", ".old"))
    for other in folder.iterdir() if folder.exists() else ():
        if other != before:
            shutil.rmtree(other)
    before.mkdir(parents=True, exist_ok=True)
    yield before, after
    if after.exists():
        before.rename(gone)
        after.rename(before)
        shutil.rmtree(gone)


def _artifact(folder: Path) -> Any:
    artifact = standard_artifacts.TransformCache()
    artifact.uri = str(folder)
    return artifact


class Transform(component.Transform):
    """TFX's component. With a folder under `ANALYZER_CACHE_KEY` of the custom config, each Examples artifact is analysed once."""

    EXECUTOR_SPEC = BeamExecutorSpec(Executor)
