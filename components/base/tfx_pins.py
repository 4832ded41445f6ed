"""All uses of private APIs and log texts of TFX, TFMA, Beam and TensorFlow. After an upgrade of these libraries, look here first.

Each function has its own test in `tests/components/base/test_tfx_pins.py`. Those of Keras are in `din_trainer/keras_pins.py`.
The functions import the libraries themselves, because some callers must start without them.
"""

import contextlib
import gc
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MethodType, ModuleType
from typing import Any, Literal, NamedTuple


class NodeEvent(NamedTuple):
    """An event of a node in LocalDagRunner's log: it starts, its result is cached, or computed but not recorded yet, it is finished."""

    kind: Literal["start", "cached", "computed", "finish"]
    node: str  # empty for `cached` and `computed`


_NODE_MESSAGES: dict[str, Literal["start", "cached", "computed", "finish"]] = {
    "Component %s is running.": "start",
    "A cached execution %d is used.": "cached",
    "Execution %d succeeded.": "computed",
    "Component %s is finished.": "finish",
}


def node_event(record: logging.LogRecord) -> NodeEvent | None:
    """Reads an event from a log record of TFX, None if there is none. LocalDagRunner has no hooks, only its log messages."""
    kind = _NODE_MESSAGES.get(record.msg)
    if kind is None:
        return None
    return NodeEvent(kind, str(record.args[0]) if kind in ("start", "finish") else "")  # type: ignore[index]


def substitute_run_id(ir: Any, run_id: str) -> None:
    """Sets the run id of a compiled pipeline, as LocalDagRunner does with a run id that it makes itself."""
    from tfx.dsl.compiler import constants
    from tfx.orchestration.portable import runtime_parameter_utils

    runtime_parameter_utils.substitute_runtime_parameter(ir, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id})


def is_infra_blessed(blessing: Any) -> bool:
    """Whether an InfraBlessing artifact blesses the model."""
    from tfx.components.infra_validator import executor

    return blessing.get_int_custom_property(executor._BLESSED_KEY) == 1


def write_infra_blessing(blessing: Any, blessed: bool) -> None:
    """Writes an InfraBlessing artifact as TFX's InfraValidator does, for Pusher to read."""
    from tfx.components.infra_validator import executor

    (Path(blessing.uri) / (executor._BLESSED_FILENAME if blessed else executor._NOT_BLESSED_FILENAME)).touch()
    blessing.set_int_custom_property(executor._BLESSED_KEY, int(blessed))


def write_model_blessing(blessing: Any, model: Any, blessed: bool) -> None:
    """Writes a ModelBlessing artifact as TFX's Evaluator does, for Pusher to read."""
    from tfx.components.evaluator import constants

    (Path(blessing.uri) / (constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME)).touch()
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(blessed))
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)


def mark_pushed(executor: Any, pushed: Any, destination: str, version: int) -> None:
    """Marks a PushedModel artifact as pushed, with a method of TFX's Pusher executor."""
    executor._MarkPushed(pushed, pushed_destination=destination, pushed_version=str(version))


def mark_not_pushed(executor: Any, pushed: Any) -> None:
    """Marks a PushedModel artifact as not pushed, with a method of TFX's Pusher executor."""
    executor._MarkNotPushed(pushed)


def unbatch_stage_name() -> str:
    """The name of TFMA's extractor that splits batches into single examples."""
    from tensorflow_model_analysis.extractors.unbatch_extractor import UNBATCH_EXTRACTOR_STAGE_NAME

    return UNBATCH_EXTRACTOR_STAGE_NAME


def read_meta_graph(saved_model: Path) -> Any:
    """The MetaGraphDef of a SavedModel for serving, without loading its graph.

    Raises:
        RuntimeError, OSError: As raised by TensorFlow: the file is missing or damaged, or has no graph for serving.
    """
    from tensorflow.python.tools import saved_model_utils

    return saved_model_utils.get_meta_graph_def(str(saved_model), "serve")


@contextlib.contextmanager
def example_reader(reader: Callable[..., Any]) -> Iterator[None]:
    """While this is open, TFX's factory makes `reader` where it makes a `TFExampleRecord`; nodes have no argument for it."""
    from tfx_bsl.tfxio import tf_example_record

    original = tf_example_record.TFExampleRecord
    tf_example_record.TFExampleRecord = reader
    try:
        yield
    finally:
        tf_example_record.TFExampleRecord = original


@contextlib.contextmanager
def integer_lengths(total_length: Callable[[Any], int]) -> Iterator[None]:
    """While this is open, TFDV's statistics get the total length of integer ids from `total_length`, which takes an Arrow array."""
    import pyarrow as pa
    from tensorflow_data_validation.statistics.generators import basic_stats_generator
    from tfx_bsl.arrow import array_util

    statistics = basic_stats_generator._PartialStringStats
    original = statistics.update

    def update(self: Any, feature_array: Any) -> None:
        if not pa.types.is_null(feature_array.type):
            values, _ = array_util.flatten_nested(feature_array)
            if pa.types.is_integer(values.type):
                self.total_bytes_length += total_length(values)
                return
        original(self, feature_array)

    statistics.update = update
    try:
        yield
    finally:
        statistics.update = original


@contextlib.contextmanager
def quick_beam_graphs() -> Iterator[None]:
    """While this is open, Beam reads the arguments of a method and each part of its options once, instead of thousands of times."""
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.transforms import core

    original_arguments, original_view = core.get_function_args_defaults, PipelineOptions.view_as
    arguments: dict[Any, tuple[list[str], list[Any]]] = {}
    views: dict[tuple[int, type], Any] = {}

    def arguments_of(function: Any) -> tuple[list[str], list[Any]]:
        if not isinstance(function, MethodType):
            return original_arguments(function)
        method = function.__func__  # `function` itself is a new object each time
        if method not in arguments:
            arguments[method] = original_arguments(function)
        names, defaults = arguments[method]
        return list(names), list(defaults)

    def view_as(self: Any, kind: type) -> Any:
        key = (id(self._all_options), kind)  # all views of the same options share this dict, and a view that is kept keeps it alive
        if key not in views:
            views[key] = original_view(self, kind)
        return views[key]

    core.get_function_args_defaults, PipelineOptions.view_as = arguments_of, view_as
    try:
        yield
    finally:
        core.get_function_args_defaults, PipelineOptions.view_as = original_arguments, original_view


_UNUSED = (  # these import large libraries: for MongoDB, for texts, and for Kubernetes as TFX's place to validate models
    "apache_beam.io.mongodbio",
    "tensorflow_model_analysis.metrics.bleu",
    "tensorflow_model_analysis.metrics.rouge",
    "tfx.components.infra_validator.model_server_runners.kubernetes_runner",
)


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """While this is open, imports of TensorFlow and TFX take a quarter less time.

    The garbage collector is off, and from the end on it passes over what was imported. Modules that the pipeline never uses are empty;
    whoever imports them later gets them whole.
    """
    empty = {name: ModuleType(name) for name in _UNUSED if name not in sys.modules}
    sys.modules.update(empty)
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # once: later it would keep what earlier runs of this process left behind
            gc.freeze()
        gc.enable()
        for name in empty:
            del sys.modules[name]
