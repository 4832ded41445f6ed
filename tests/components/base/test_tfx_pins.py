"""Tests each pin with the installed libraries. If one fails after an upgrade, fix it in `components/base/tfx_pins.py`."""

import contextlib
import gc
import importlib.util
import logging
import sys
import weakref

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.testing.util import assert_that, equal_to
from tfx.components.pusher import executor as pusher
from tfx.dsl.compiler import compiler
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts

from components.base import tfx_pins
from pipeline.runners.beam_options import local_options


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The log records of LocalDagRunner for a pipeline with one node."""
    folder = tmp_path_factory.mktemp("pipeline")
    node = Importer(source_uri=str(folder), artifact_type=standard_artifacts.Model).with_id("Only")
    metadata = sqlite_metadata_connection_config(str(folder / "metadata.sqlite"))
    ir = compiler.Compiler().compile(Pipeline("one", str(folder), components=[node], metadata_connection_config=metadata))
    tfx_pins.substitute_run_id(ir, "the-run")
    records = []
    handler = logging.Handler(logging.INFO)
    handler.emit = records.append
    logger = logging.getLogger("absl")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        LocalDagRunner().run_with_ir(ir)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return ir, records


def test_node_events_are_read_from_the_runner_s_log(logged):
    events = [event for record in logged[1] if (event := tfx_pins.node_event(record))]
    assert events == [("start", "Only"), ("finish", "Only")]


@pytest.mark.parametrize(("message", "kind"), [("A cached execution %d is used.", "cached"), ("Execution %d succeeded.", "computed")])
def test_the_messages_of_a_cached_and_of_a_computed_node_are_those_that_tfx_logs(message, kind):
    from pathlib import Path

    from tfx.orchestration.portable import launcher

    assert message in Path(launcher.__file__).read_text()
    record = logging.LogRecord("absl", logging.INFO, "", 0, message, (7,), None)
    assert tfx_pins.node_event(record) == (kind, "")


def test_the_run_id_is_substituted(logged):
    assert logged[0].runtime_spec.pipeline_run_id.field_value.string_value == "the-run"


@pytest.mark.parametrize("blessed", [True, False])
def test_pusher_reads_our_blessings(tmp_path, blessed):
    infra, model_blessing, model = standard_artifacts.InfraBlessing(), standard_artifacts.ModelBlessing(), standard_artifacts.Model()
    infra.uri = model_blessing.uri = str(tmp_path)
    model.id, model.uri = 3, "/model"
    tfx_pins.write_infra_blessing(infra, blessed)
    tfx_pins.write_model_blessing(model_blessing, model, blessed)
    assert tfx_pins.is_infra_blessed(infra) is blessed
    executor = pusher.Executor()
    assert executor.CheckBlessing({"model": [model], "model_blessing": [model_blessing]}) is blessed
    assert executor.CheckBlessing({"model": [model], "infra_blessing": [infra]}) is blessed


def test_pushed_models_are_marked():
    pushed = standard_artifacts.PushedModel()
    tfx_pins.mark_pushed(pusher.Executor(), pushed, "/serving/demo/7", 7)
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_version") == "7"
    assert pushed.get_string_custom_property("pushed_destination") == "/serving/demo/7"
    tfx_pins.mark_not_pushed(pusher.Executor(), pushed)
    assert pushed.get_int_custom_property("pushed") == 0


def test_tfma_has_the_stage_that_we_replace():
    import tensorflow_model_analysis as tfma

    stages = {extractor.stage_name for extractor in tfma.default_extractors(eval_config=tfma.EvalConfig())}
    assert tfx_pins.unbatch_stage_name() in stages


def test_signatures_are_read_without_loading(tmp_path):
    import tensorflow as tf

    module = tf.Module()
    module.double = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"double": module.double})
    assert set(tfx_pins.read_meta_graph(tmp_path / "model").signature_def["double"].inputs) == {"x"}
    with pytest.raises(OSError):
        tfx_pins.read_meta_graph(tmp_path / "nothing")


class Adding(beam.DoFn):
    """Adds a number to each element."""

    def process(self, element, number=1):
        yield element + number


class InWindow(beam.DoFn):
    """Asks for its window, which Beam finds by the default of an argument."""

    def process(self, element, window=beam.DoFn.WindowParam):
        yield element if str(window) == "GlobalWindow" else 0


@pytest.mark.parametrize("opened", [tfx_pins.quick_beam_graphs, contextlib.nullcontext])
def test_beam_computes_the_same_while_it_reads_arguments_once(opened):
    with opened(), beam.Pipeline(argv=local_options()) as pipeline:
        numbers = pipeline | beam.Create([1, 2, 3]) | beam.ParDo(Adding()) | "10" >> beam.ParDo(Adding(), 10)
        assert_that(numbers | beam.ParDo(InWindow()), equal_to([12, 13, 14]))


def test_views_of_beam_options_are_made_once_and_still_share_their_values():
    made = []

    class Asked(PipelineOptions):
        @classmethod
        def _add_argparse_args(cls, parser):
            made.append(cls)
            parser.add_argument("--asked", default="nothing")

    original = PipelineOptions.view_as
    with tfx_pins.quick_beam_graphs():
        options, others = PipelineOptions(["--asked=first"]), PipelineOptions(["--asked=second"])
        made.clear()
        assert options.view_as(Asked).asked == "first" and others.view_as(Asked).asked == "second"
        options.view_as(Asked).asked = "changed"
        assert options.view_as(StandardOptions).view_as(Asked).asked == "changed" and others.view_as(Asked).asked == "second"
        assert len(made) == 2
    assert PipelineOptions.view_as is original


def test_imports_are_quick_and_leave_no_trace(monkeypatch):
    monkeypatch.setattr(tfx_pins, "_UNUSED", ("json.tool",))
    monkeypatch.delitem(sys.modules, "json.tool", raising=False)
    with tfx_pins.quick_imports():
        assert not hasattr(importlib.import_module("json.tool"), "main")
        assert not gc.isenabled()
    assert gc.isenabled()
    assert importlib.import_module("json.tool").main


def test_what_an_earlier_run_of_the_process_left_behind_is_still_collected():
    class Left:
        """Refers to itself, so that only the garbage collector removes it."""

        def __init__(self):
            self.itself = self

    with tfx_pins.quick_imports():
        pass
    left = weakref.ref(Left())
    with tfx_pins.quick_imports():
        pass
    gc.collect()
    assert left() is None


def test_the_modules_that_are_left_out_exist():
    assert all(importlib.util.find_spec(name) for name in tfx_pins._UNUSED)
