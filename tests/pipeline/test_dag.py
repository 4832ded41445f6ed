"""The DAG as TFX compiles it."""

import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from tfx.dsl.compiler import compiler
from tfx.orchestration import metadata
from tfx.orchestration.portable import cache_utils
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2

from components.base import fingerprint
from pipeline.configuration.load_config import load_config
from pipeline.dag import create_pipeline
from pipeline.datasets.spans import Span
from pipeline.places import Places, PreviousData, RequestLog
from tests.conftest import ROOT

BY_LABEL = {"Evaluator", "UserBootstrap", "Verdict"}  # what knows the labels
PLACES = Places(Path("/d"), Path("/s.pbtxt"), Path("/a"), Path("/m.sqlite"), Path("/checkpoints"), Path("/serving"), None)


def compiled(places=PLACES, run_id="run", config=None):
    ir = compiler.Compiler().compile(create_pipeline(config or load_config(), places, run_id))
    deployed = pipeline_pb2.IntermediateDeploymentConfig()
    ir.deployment_config.Unpack(deployed)
    return {node.pipeline_node.node_info.id: node.pipeline_node for node in ir.nodes}, deployed.executor_specs


def test_the_nodes_and_their_order():
    nodes, _ = compiled()
    names = list(nodes)
    gates = ["Evaluator", "FeatureImportance", "Sameness", "UserBootstrap", "InfraGate", "Verdict"]
    checks = ["StatisticsGen", "ExampleValidator", "DataGate", "DriftValidator", "DriftGate"]
    order = ["ImportExampleGen", *checks, "Transform", "Trainer", *gates, "Pusher"]
    assert sorted(names) == sorted([*order, "ImportSchemaGen", "SliceColumns"])
    assert [name for name in names if name in order] == order
    for name in ("Transform", "SliceColumns"):  # nothing reads data that the gates have not passed
        assert {"DataGate", "DriftGate"} <= set(nodes[name].upstream_nodes)
    assert set(nodes["Pusher"].upstream_nodes) == {"Trainer", "Verdict", "InfraGate"}  # InfraGate gives the warm-up requests
    assert {"Evaluator", "UserBootstrap", "Sameness", "InfraGate"} <= set(nodes["Verdict"].upstream_nodes)


def test_earlier_data_and_requests_are_compared_with_the_training_data():
    logged = RequestLog(Path("/log"), "abc")
    nodes, _ = compiled(PLACES._replace(previous=PreviousData("train/ of run a", Path("/statistics")), logged=logged))
    assert {"PreviousStatistics", "RequestStatistics", "StatisticsGen", "DataGate"} <= set(nodes["DriftValidator"].upstream_nodes)
    assert "RequestExamples" in nodes["RequestStatistics"].upstream_nodes
    other, _ = compiled(PLACES._replace(logged=logged._replace(fingerprint="abd")))
    assert nodes["RequestExamples"].parameters != other["RequestExamples"].parameters


def test_the_statistics_of_requests_are_cached_as_those_of_the_data():
    """Their cache key follows the code of StatisticsGen, too."""
    _, executors = compiled(PLACES._replace(logged=RequestLog(Path("/log"), "abc")))
    assert executors["RequestStatistics"] == executors["StatisticsGen"]


def test_tables_of_attributes_are_joined_before_all_that_reads_the_examples(tmp_path):
    table = tmp_path / "items.csv"
    table.write_text("item_id,price\n1,2.5\n")
    settings = [
        f"features.lookups.items.table={table}",
        "features.lookups.items.key=item_id",
        "features.lookups.items.of=candidate_item_id",
        'features.candidate.price={kind = "numeric", dtype = "float", lookup = "items"}',
    ]
    nodes, _ = compiled(config=load_config(None, settings))
    readers = {"StatisticsGen", "Transform", "Trainer", "SliceColumns", "Sameness"}
    assert readers <= set(nodes["JoinLookups"].downstream_nodes)
    assert "ImportExampleGen" in nodes["DataGate"].upstream_nodes  # its fingerprint is of what was checked
    table.write_text("item_id,price\n1,3.5\n")
    changed, _ = compiled(config=load_config(None, settings))
    for name in ("JoinLookups", "Trainer"):
        assert nodes[name].parameters != changed[name].parameters


def test_a_baseline_is_imported_for_the_nodes_that_compare():
    nodes, _ = compiled(PLACES._replace(baseline=Path("/b/1")))
    assert set(nodes["Baseline"].downstream_nodes) == {"Evaluator", "UserBootstrap"}


def span(name):
    return Span((date.fromisoformat(name) - date(1970, 1, 1)).days, Path("/d") / f"day={name}")


DAYS = ("2026-11-22", "2026-11-23", "2026-11-24")


def windowed(*days, **changes):
    places = PLACES._replace(data=Path("/d"), spans=tuple(map(span, days)), checked="\n".join(days), analyses=Path("/c"), **changes)
    return compiled(places)[0]


def inputs(node, key):
    """The nodes whose outputs an input of a node is."""
    found = node.inputs.inputs[key]
    parts = [node.inputs.inputs[part] for part in found.mixed_inputs.input_keys] or [found]
    return [channel.producer_node_query.id for part in parts for channel in part.channels]


def test_each_day_is_read_counted_and_checked_by_nodes_of_its_own():
    nodes = windowed(*DAYS)
    for day in DAYS:
        assert inputs(nodes[f"StatisticsGen.{day}"], "examples") == [f"ImportExampleGen.{day}"]
        assert inputs(nodes[f"DataGate.{day}"], "anomalies") == [f"ExampleValidator.{day}"]
        assert f"DataGate.{day}" in nodes["Window"].upstream_nodes
    assert inputs(nodes["Window"], "spans") == [f"ImportExampleGen.{day}" for day in DAYS]
    assert inputs(nodes["Transform"], "examples") == [f"ImportExampleGen.{day}" for day in DAYS[:2]]  # eval is not counted
    for name in ("Trainer", "SliceColumns", "Sameness"):
        assert inputs(nodes[name], "examples") == ["Window"]


def test_a_day_s_cache_keys_do_not_know_the_window():
    wide, narrow = windowed(*DAYS), windowed(*DAYS[:2])
    for day in DAYS[:2]:
        for name in ("ImportExampleGen", "StatisticsGen", "ExampleValidator", "DataGate"):
            here, there = (nodes[f"{name}.{day}"] for nodes in (wide, narrow))
            assert here.parameters == there.parameters and here.inputs == there.inputs and here.executor == there.executor
    assert wide["Window"].parameters != narrow["Window"].parameters


def test_a_day_alone_is_counted_after_it_is_split():
    nodes = windowed(DAYS[0])
    assert inputs(nodes["Transform"], "examples") == ["Window"]
    assert "analyzer_cache" not in str(nodes["Transform"].parameters)


def test_the_served_model_is_scored_before_the_training():
    nodes = windowed(*DAYS, served=Path("/b/1"))
    assert inputs(nodes["NewDataScore"], "model") == ["Served"] and inputs(nodes["NewDataScore"], "examples") == ["Window"]
    assert "NewDataScore" in nodes["Trainer"].upstream_nodes
    assert "NewDataScore" not in windowed(*DAYS)


@pytest.mark.parametrize("name", ["Pusher", "InfraGate"])
def test_nodes_that_measure_or_push_are_never_cached(name):
    assert compiled(run_id="a")[0][name] != compiled(run_id="b")[0][name]


def push_settings(*settings):
    pusher = next(node for node in create_pipeline(load_config(None, settings), PLACES, "run").components if node.id == "Pusher")
    return json.loads(json.loads(pusher.exec_properties["custom_config"])["serving"])


def test_pusher_gets_the_settings_of_the_push():
    usual = {"keep": 5, "push_to": "stable", "base_path": "", "poll_seconds": 5, "servers": [], "wait_seconds": 600, "store": ""}
    assert push_settings() == {**usual, "pinned": [], "replaces": None}
    given = {
        "keep": 2,
        "push_to": "canary",
        "base_path": "/models/demo",
        "poll_seconds": 1,
        "servers": ["grpc://a:8500"],
        "wait_seconds": 9,
    }
    chosen = push_settings(*(f"serving.{name}={json.dumps(value)}" for name, value in given.items()), "evaluation.baseline=17")
    assert chosen == {**given, "store": "", "pinned": [17], "replaces": None}


def gate_settings(*settings):
    nodes = {node.id: node for node in create_pipeline(load_config(None, settings), PLACES, "run").components}
    return json.loads(nodes["InfraGate"].exec_properties["settings"])


def test_the_gate_gets_its_bounds_and_the_server_to_ask():
    assert gate_settings() == {"tolerance": 1e-6, "latency_ms": 50, "memory_mb": 4096, "model_server": ""}
    assert gate_settings("serving.latency_ms=3", "serving.model_server=/opt/server")["model_server"] == "/opt/server"


def test_tfx_s_own_infra_validator_can_be_chosen():
    nodes, _ = compiled(config=load_config(None, ["serving.gate=docker"]))
    assert "InfraGate" not in nodes and "InfraValidator" in nodes["Verdict"].upstream_nodes
    assert "InfraValidator" in nodes["Pusher"].upstream_nodes


PACKAGES = ("benchmarks", "pipeline", "components", "din_trainer")


@pytest.fixture(scope="module")
def project_copy(tmp_path_factory):
    """A copy of the packages, which tests may edit."""
    copy = tmp_path_factory.mktemp("project")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture
def changed_nodes(project_copy, monkeypatch):
    """A function that edits a module, and returns the nodes whose cache keys change."""
    monkeypatch.setattr(fingerprint, "_ROOT", project_copy)

    def edit(module):
        before, executors_before = compiled()
        with open(project_copy / f"{module.replace('.', '/')}.py", "a") as file:
            file.write("# edited\n")
        after, executors_after = compiled()
        # TFX's cache key covers the arguments of a node, and the specification of its executor, whose flags can hold a fingerprint.
        return {
            name
            for name in before
            if before[name].parameters != after[name].parameters or executors_before.get(name) != executors_after.get(name)
        }

    return edit


@pytest.mark.parametrize(
    ("module", "nodes"),
    [
        ("components.data_gate", {"DataGate"}),
        ("components.drift.drift_figures", {"DriftValidator", "DriftGate"}),
        ("components.slice_columns", {"SliceColumns"}),
        ("components.verdict", {"Verdict"}),
        ("components.evaluation.metrics.gauc", {"Evaluator", "UserBootstrap", "FeatureImportance"}),  # through sum_metrics
        ("components.evaluation.metrics.id_numbers", {"Evaluator", "UserBootstrap"}),
        ("components.evaluation.count_buckets", {"SliceColumns"}),
        ("components.serving.store.push", set()),  # Pusher is never cached
        ("din_trainer.layers.events", {"Trainer", "Sameness"}),  # through the layers and the models
        ("din_trainer.transform.preprocessing", {"Transform", "Trainer", "Sameness"}),
        ("din_trainer.features", {"DriftValidator", "Transform", "Trainer", "Sameness", "FeatureImportance", *BY_LABEL}),
        ("din_trainer.kinds", {"DriftValidator", "Transform", "Trainer", "SliceColumns", "Sameness", "FeatureImportance", *BY_LABEL}),
        ("pipeline.report.page", set()),
        ("components.import_example_gen", {"ImportExampleGen"}),
        ("components.statistics_gen", {"StatisticsGen"}),
        ("components.transform", {"Transform"}),
        ("components.base.shard_tfxio", {"StatisticsGen", "Transform", "Evaluator"}),
        ("components.base.id_lengths", {"StatisticsGen"}),
    ],
)
def test_an_edited_module_changes_the_cache_keys_of_what_reaches_it(changed_nodes, module, nodes):
    assert changed_nodes(module) == nodes


@pytest.mark.parametrize("engine", ["flink", "spark", "dataflow"])
def test_the_cache_keys_of_all_nodes_are_those_of_a_local_run_on_every_engine(engine):
    settings = [f"beam.engine={engine}", "beam.options.project=my-project", *(["beam.parallelism=7"] if engine == "flink" else [])]
    assert compiled(config=load_config(None, settings)) == compiled()


def test_tfx_s_cache_key_contains_the_fingerprint_in_the_flags_of_an_executor():
    nodes, executors = compiled()
    spec = executable_spec_pb2.BeamExecutableSpec()
    executors["StatisticsGen"].Unpack(spec)
    (flag,) = spec.python_executor_spec.extra_flags
    assert flag.startswith("--source_fingerprint=")
    assert not any("fingerprint" in argument for argument in spec.beam_pipeline_args)  # which reach Beam
    node, info = nodes["StatisticsGen"], pipeline_pb2.PipelineInfo(id="demo")
    with metadata.Metadata(metadata.sqlite_metadata_connection_config(":memory:")) as store:
        names = []
        for flag in ("--source_fingerprint=a", "--source_fingerprint=b", "--source_fingerprint=a"):
            spec.python_executor_spec.extra_flags[:] = [flag]
            names.append(cache_utils.get_cache_context(store, node, info, executor_spec=spec).name)
    assert names[0] == names[2] != names[1]


def test_verdict_s_fingerprint_covers_what_it_imports():
    closure = fingerprint.import_closure("components.verdict")
    assert {"components.evaluation.metrics.catalogue", "components.artifact_types", "components.evaluation.slices"} <= set(closure)


@pytest.mark.parametrize("module", ["din_trainer.training.loop", "din_trainer.models.din"])
def test_a_function_that_is_named_by_a_string_is_followed(module):
    assert module in fingerprint.import_closure("din_trainer.trainer.run_fn")


def test_the_process_that_loads_a_model_is_followed():
    assert "components.serving.model.process_messages" in fingerprint.import_closure("components.serving.model.loader_process")
    assert "components.serving.model.loader_process" in fingerprint.import_closure("components.infra_gate")


def test_a_name_without_a_module_is_refused():
    with pytest.raises(ValueError, match="'din_trainers' names no module"):
        fingerprint.import_closure("din_trainers")


def test_without_trials_there_is_no_tuner_and_no_other_key_of_it_matters():
    """The cache keys are those of a pipeline that knows no tuner."""
    nodes, _ = compiled()
    assert "Tuner" not in nodes and "hyperparameters" not in nodes["Trainer"].inputs.inputs
    settings = ["tuner.trials=0", "tuner.seed=5", "tuner.parallel=2", "tuner.space.training.regularization=[0, 0.01]"]
    others, _ = compiled(config=load_config(None, settings))
    assert {name: node.parameters for name, node in others.items()} == {name: node.parameters for name, node in nodes.items()}


def test_a_search_reads_train_and_validation_alone_and_feeds_the_training():
    of_learning_rate = "tuner.space.training.learning_rate=[0.001, 0.002]"
    nodes, _ = compiled()
    tuned, _ = compiled(config=load_config(None, ["tuner.trials=3", of_learning_rate]))
    assert tuned.keys() - nodes.keys() == {"Tuner"}
    assert inputs(tuned["Trainer"], "hyperparameters") == ["Tuner"]
    for name in nodes:  # Trainer has another key by its input alone
        assert tuned[name].parameters == nodes[name].parameters
    parameters = {name: value.field_value.string_value for name, value in tuned["Tuner"].parameters.parameters.items()}
    assert [json.loads(parameters[name])["splits"] for name in ("train_args", "eval_args")] == [["train"], ["validation"]]
    custom = json.loads(parameters["custom_config"])
    assert json.loads(custom["tuner"])["trials"] == 3 and custom["checkpoints"] == "/checkpoints.tuner"
    another, _ = compiled(config=load_config(None, ["tuner.trials=3", "tuner.seed=1", of_learning_rate]))
    assert another["Tuner"].parameters != tuned["Tuner"].parameters


def test_a_search_over_the_regularisation_lets_transform_count_the_ids():
    nodes, _ = compiled(config=load_config(None, ["tuner.trials=3", "tuner.space.training.regularization=[0, 0.01]"]))
    counted = json.loads(nodes["Transform"].parameters.parameters["custom_config"].field_value.string_value)
    assert counted["counts"] is True
