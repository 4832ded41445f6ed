"""Tests each pin with the installed libraries. If one fails after an upgrade, fix it in `components/base/tfx_pins.py`."""

import logging

import pytest
from tfx.components.pusher import executor as pusher
from tfx.dsl.compiler import compiler
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts

from components.base import tfx_pins


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


def test_the_message_of_a_cached_node_is_one_that_tfx_logs():
    from pathlib import Path

    from tfx.orchestration.portable import launcher

    assert "A cached execution %d is used." in Path(launcher.__file__).read_text()
    record = logging.LogRecord("absl", logging.INFO, "", 0, "A cached execution %d is used.", (7,), None)
    assert tfx_pins.node_event(record) == ("cached", "")


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
