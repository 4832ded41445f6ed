"""Runs one node in a container of Kubeflow or Vertex: TFX's own entry point does, once it has got the node's parameters of this run."""

import argparse
import copy
import json
import shutil
from pathlib import Path
from typing import Any

from components.base.atomic_files import write_whole
from components.base.errors import InputError
from components.base.tfx_pins import quick_beam_graphs, quick_imports
from pipeline.run.kubeflow.prepare import Prepared
from pipeline.runners.kubeflow_artifacts import Json, artifacts

BASELINE = "Baseline"  # the only node that a run may lack: before the first push there is nothing to compare with
_INPUT = "{{$}}"  # in TFX's arguments


def run_node(node: str, prepared: Prepared, executor_input: Json) -> None:
    """Runs a node. The output file says afterwards what it has put out.

    Args:
        node: Its id in the DAG.
        prepared: What the first container found.
        executor_input: Where the artifacts are, as local paths.

    Raises:
        InputError: This run has no such node.
        Exception: Whatever the node raises.
    """
    for _, artifact in artifacts(executor_input["outputs"]):
        shutil.rmtree(artifact["uri"], ignore_errors=True)  # a try before this one may have left a part
    if node == BASELINE:
        _copy_baseline(prepared, executor_input)
        return
    component = prepared.spec["components"].get(node)
    if component is None:
        raise InputError(f"this run has no node {node!r}: compile the pipeline again, with the version of din that is in the image.")
    container = prepared.spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
    parameters = prepared.spec["root"]["dag"]["tasks"][node].get("inputs", {}).get("parameters", {})
    asked = _typed(executor_input, component)
    asked["inputs"]["parameterValues"] = {name: value["runtimeValue"]["constant"] for name, value in parameters.items()}
    with quick_imports():
        from tfx.orchestration.kubeflow.v2 import compiler_utils
        from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor as tfx_container

        from components.artifact_types import TYPES

    compiler_utils.TITLE_TO_CLASS_PATH.update({kind.TYPE_NAME: f"{kind.__module__}.{kind.__name__}" for kind in TYPES})
    if "lifecycle" in container:  # an ExampleGen, whose driver Vertex would run before, and Kubeflow would not
        _add_fingerprint(asked)
    with quick_beam_graphs():
        tfx_container.main(_parsed([json.dumps(asked) if argument == _INPUT else argument for argument in container["args"]]))


def _typed(executor_input: Json, component: Json) -> Json:
    """Returns the ExecutorInput with the artifacts that the node reads and writes in this run, each with its type."""
    result = copy.deepcopy(executor_input)
    for part, definitions in (("inputs", "inputDefinitions"), ("outputs", "outputDefinitions")):
        declared = component.get(definitions, {}).get("artifacts", {})
        given = result.setdefault(part, {}).get("artifacts", {})
        result[part]["artifacts"] = {name: listed for name, listed in given.items() if name in declared}
        for name, artifact in artifacts(result[part]):
            artifact["type"] = declared[name]["artifactType"]
    return result


def _add_fingerprint(asked: Json) -> None:
    """Does what the driver of ExampleGen does: it finds the fingerprint of the data, for the executor and for the artifact."""
    from google.protobuf import json_format
    from tfx.components.example_gen.utils import FINGERPRINT_PROPERTY_NAME, SPAN_PROPERTY_NAME
    from tfx.proto import example_gen_pb2
    from tfx.types.standard_component_specs import EXAMPLES_KEY, INPUT_BASE_KEY, INPUT_CONFIG_KEY

    from components.import_example_gen import Driver

    values = asked["inputs"]["parameterValues"]
    config = json_format.Parse(values[INPUT_CONFIG_KEY], example_gen_pb2.Input())
    processor = Driver(None).get_input_processor(config.splits, None, values[INPUT_BASE_KEY])
    found: dict[str, Any] = {SPAN_PROPERTY_NAME: 0, FINGERPRINT_PROPERTY_NAME: processor.get_input_fingerprint(0, None)}
    values |= found
    dict(artifacts(asked["outputs"]))[EXAMPLES_KEY].setdefault("metadata", {}).update(found)


def _parsed(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parses what TFX compiled as the arguments of its own entry point. The rest of them is for Beam."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("executor_class_path", "json_serialized_invocation_args", "json_serialized_inputs_spec_args"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_known_args(arguments)


def _copy_baseline(prepared: Prepared, executor_input: Json) -> None:
    """Copies the baseline into its artifact, so that it stays the same whatever is pushed or deleted in the meantime."""
    ((name, artifact),) = artifacts(executor_input["outputs"])
    folder, metadata = Path(artifact["uri"]), {}
    if prepared.baseline:
        shutil.copytree(prepared.baseline, folder)
        metadata = prepared.spec["components"][BASELINE]["outputDefinitions"]["artifacts"][name]["metadata"]  # the version of the layout
    else:
        folder.mkdir(parents=True)
        (folder / "none.txt").write_text("No version was served when this run started.\n")
    put_out = {"artifacts": {name: {"artifacts": [{"uri": artifact["uri"], "metadata": metadata}]}}}
    write_whole(Path(executor_input["outputs"]["outputFile"]), [json.dumps(put_out)])
