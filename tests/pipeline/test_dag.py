"""The DAG as TFX compiles it."""

import json
from pathlib import Path

import pytest
from tfx.dsl.compiler import compiler

from pipeline import dag
from pipeline.config import load_config
from pipeline.dag import Places, create_pipeline

PLACES = Places(Path("/d"), Path("/s.pbtxt"), Path("/a"), Path("/m.sqlite"), Path("/checkpoints"), Path("/serving"), None)


def compiled(places=PLACES, run_id="run", config=None):
    ir = compiler.Compiler().compile(create_pipeline(config or load_config(), places, run_id))
    return {node.pipeline_node.node_info.id: node.pipeline_node for node in ir.nodes}, ir.deployment_config


def test_the_nodes_and_their_order():
    nodes, _ = compiled()
    names = list(nodes)
    gates = ["Evaluator", "Sameness", "UserBootstrap", "InfraGate", "Verdict"]
    order = ["ImportExampleGen", "StatisticsGen", "ExampleValidator", "DataGate", "Transform", "Trainer", *gates, "Pusher"]
    assert sorted(names) == sorted([*order, "ImportSchemaGen", "SliceColumns"])
    assert [name for name in names if name in order] == order
    assert all(
        "DataGate" in nodes[name].upstream_nodes for name in ("Transform", "SliceColumns")
    )  # nothing reads data that it has not passed
    assert set(nodes["Pusher"].upstream_nodes) == {"Trainer", "Verdict", "InfraGate"}  # only the verdict pushes, InfraGate warms up
    assert {"Evaluator", "UserBootstrap", "Sameness", "InfraGate"} <= set(nodes["Verdict"].upstream_nodes)


def test_a_baseline_is_imported_for_those_who_compare():
    nodes, _ = compiled(PLACES._replace(baseline=Path("/b/1")))
    assert set(nodes["Baseline"].downstream_nodes) == {"Evaluator", "UserBootstrap"}


@pytest.mark.parametrize("name", ["Pusher", "InfraGate"])
def test_what_looks_at_the_world_outside_is_never_cached(name):
    assert compiled(run_id="a")[0][name] != compiled(run_id="b")[0][name]


def push_settings(*settings):
    pusher = next(node for node in create_pipeline(load_config(None, settings), PLACES, "run").components if node.id == "Pusher")
    return json.loads(json.loads(pusher.exec_properties["custom_config"])["serving"])


def test_pusher_is_told_how_to_push():
    assert push_settings() == {"keep": 5, "push_to": "stable", "base_path": "", "poll_seconds": 5, "pinned": []}
    serving = ("keep=2", "push_to=canary", "base_path=/models/demo", "poll_seconds=1")
    chosen = push_settings(*(f"serving.{setting}" for setting in serving), "evaluation.baseline=17")
    assert chosen == {"keep": 2, "push_to": "canary", "base_path": "/models/demo", "poll_seconds": 1, "pinned": [17]}


def gate_settings(*settings):
    nodes = {node.id: node for node in create_pipeline(load_config(None, settings), PLACES, "run").components}
    return json.loads(nodes["InfraGate"].exec_properties["settings"])


def test_the_gate_is_told_its_bounds_and_who_is_asked():
    assert gate_settings() == {"tolerance": 1e-6, "latency_ms": 50, "memory_mb": 4096, "model_server": ""}
    assert gate_settings("serving.latency_ms=3", "serving.model_server=/opt/server")["model_server"] == "/opt/server"


def test_tfx_s_own_infra_validator_can_be_chosen():
    nodes, _ = compiled(config=load_config(None, ["serving.gate=docker"]))
    assert "InfraGate" not in nodes and "InfraValidator" in nodes["Verdict"].upstream_nodes
    assert "InfraValidator" in nodes["Pusher"].upstream_nodes


@pytest.fixture
def edited(monkeypatch):
    before = compiled()
    monkeypatch.setattr(dag, "source_fingerprint", lambda *modules: "edited")
    return before, compiled()


@pytest.mark.parametrize("name", ["DataGate", "Transform", "Trainer", "SliceColumns", "UserBootstrap", "Sameness", "Verdict"])
def test_edited_code_changes_the_cache_key(edited, name):
    (before, _), (after, _) = edited
    assert before[name].parameters != after[name].parameters


def test_edited_evaluation_changes_the_evaluator_s_cache_key(edited):
    """By its executor's Beam arguments, which are in TFX's key: it has no parameter of ours."""
    (_, before), (_, after) = edited
    assert b"--source_fingerprint=edited" in after.value and b"--source_fingerprint=edited" not in before.value


def test_data_nodes_do_not_depend_on_our_code(edited):
    (before, _), (after, _) = edited
    for name in ("ImportExampleGen", "StatisticsGen", "ExampleValidator"):
        assert before[name] == after[name]
