"""Where the nodes that read records by Apache Beam run their Beam pipelines: in this process, or on the engine that a run has named.

The engine is no part of a node's arguments, because TFX's cache keys would change with it, although its results do not.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import apache_beam as beam

_make_pipeline: "Callable[[], beam.Pipeline] | None" = None


@contextlib.contextmanager
def engine(make_pipeline: "Callable[[], beam.Pipeline] | None") -> Iterator[None]:
    """While this is open, the executors `OnEngine` of this process make their Beam pipelines with a function.

    Args:
        make_pipeline: Returns a new, empty pipeline; None leaves it to TFX's own arguments.
    """
    global _make_pipeline
    before, _make_pipeline = _make_pipeline, make_pipeline
    try:
        yield
    finally:
        _make_pipeline = before


class OnEngine:
    """A TFX executor that runs on the engine of this process. Without one, as in a container of Kubeflow, TFX's own arguments count.

    It stands before TFX's class among the bases.
    """

    def __init__(self, context: Any = None):
        if context is not None and _make_pipeline is not None:
            context.make_beam_pipeline_fn = _make_pipeline
        super().__init__(context)  # type: ignore[call-arg]

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """Runs TFX's executor, and deletes the temporary folders that tasks of a cluster have left when they were started again."""
        super().Do(input_dict, output_dict, exec_properties)  # type: ignore[misc]
        if _make_pipeline is not None:
            folders = [Path(artifact.uri) for artifacts in output_dict.values() for artifact in artifacts]
            for left in [left for folder in folders for left in folder.rglob("beam-temp-*")]:
                shutil.rmtree(left)
