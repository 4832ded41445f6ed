"""What a report tells beyond summary and evaluation, gathered from a run's artifacts while they are there."""

import json
import logging
import math
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

from components.base.fingerprint import LIBRARIES
from din_trainer.config import ORIGIN_FILE
from pipeline.report.gather.attention_sample import sample_attention
from pipeline.report.gather.data_statistics import describe_data
from pipeline.report.gather.training_curves import read_training_curves
from pipeline.run.metadata_store import RunOutputs


def gather_details(metadata: Path, run_id: str, previous_run: str | None, model: Path | None, data: Path) -> dict[str, Any]:
    """Gathers what is left of a run, as plain JSON: no bytes, NaN and infinities as None.

    Args:
        metadata: SQLite file of the metadata store.
        run_id: The run.
        previous_run: The run whose data drift is measured against, if any.
        model: SavedModel of the run, if it got there.
        data: Data set of the run.

    Returns:
        `attention`, `training`, `data` and `card`; a part is None where its artifacts are gone or cannot be read, which is logged.
    """
    outputs = RunOutputs(metadata, run_id)
    statistics, schema = _there(outputs.uri("StatisticsGen", "statistics")), _there(outputs.uri("ImportSchemaGen", "schema"))
    anomalies = _there(outputs.uri("ExampleValidator", "anomalies"))
    previous = _there(RunOutputs(metadata, previous_run).uri("StatisticsGen", "statistics")) if previous_run else None
    model_run, model = _there(outputs.uri("Trainer", "model_run")), _there(model)
    return {
        "attention": _part(lambda: sample_attention(model, data)) if model else None,
        "training": _part(lambda: read_training_curves(model_run)) if model_run else None,
        "data": _part(lambda: describe_data(statistics, anomalies, schema, previous, previous_run)) if statistics and schema else None,
        "card": _part(lambda: describe_model(model)) if model else None,
    }


def _there(place: Path | None) -> Path | None:
    return place if place and place.exists() else None


def _part(make: Callable[[], Any]) -> Any:
    try:
        return _plain(make())
    except Exception:  # shown, not judged: a run stands without it
        logging.exception("a part of the report's details is left out")
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return None if isinstance(value, float) and not math.isfinite(value) else value


def describe_model(model: Path) -> dict[str, Any]:
    """Facts of a SavedModel of `din_trainer`.

    Returns:
        `versions` of the libraries here, `code`: fingerprint of the `din_trainer` that made it, `parameters`: how many are trained,
        `bytes`: size of the folder.

    Raises:
        OSError: A file of it is missing.
    """
    return {
        "versions": {library: version(library) for library in LIBRARIES},
        "code": json.loads((model / ORIGIN_FILE).read_text())["source"],
        "parameters": _count_parameters(model),
        "bytes": sum(path.stat().st_size for path in model.rglob("*") if path.is_file()),
    }


def _count_parameters(model: Path) -> int:
    saved = saved_model_pb2.SavedModel.FromString((model / "saved_model.pb").read_bytes())
    nodes = saved.meta_graphs[0].object_graph_def.nodes
    children = {child.local_name: nodes[child.node_id].children for child in nodes[0].children}
    variables = [nodes[child.node_id].variable for child in children["trainable_variables"]]  # so named by Keras
    return sum(math.prod(dim.size for dim in variable.shape.dim) for variable in variables)
