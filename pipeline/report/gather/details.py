"""Gathers the details of a run for its report from the run's artifacts, which may be deleted later."""

import json
import logging
import math
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from components.base.fingerprint import LIBRARIES
from din_trainer.config import ORIGIN_FILE
from pipeline.records.metadata_store import RunOutputs
from pipeline.report.gather.attention_sample import sample_attention
from pipeline.report.gather.data_statistics import describe_data
from pipeline.report.gather.training_curves import read_training_curves


def gather_details(metadata: Path, run_id: str, model: Path | None, files: Iterable[Path]) -> dict[str, Any]:
    """Gathers the details of a run as plain JSON: bytes become text, NaN and infinities become None.

    Args:
        metadata: The SQLite file of the metadata store.
        run_id: The id of the run.
        model: The SavedModel of the run; None if the run did not export one.
        files: The files of the eval split.

    Returns:
        `attention`, `training`, `data` and `card`. A part is None if its artifacts are gone or cannot be read. `failed`: why a part could
        not be made, by its name. The log has the traces.
    """
    outputs = RunOutputs(metadata, run_id)
    statistics, schema = _there(outputs.uri("StatisticsGen", "statistics")), _there(outputs.uri("ImportSchemaGen", "schema"))
    anomalies = _there(outputs.uri("ExampleValidator", "anomalies"))
    figures = _there(outputs.uri("DriftValidator", "figures"))
    model_run, model = _there(outputs.uri("Trainer", "model_run")), _there(model)
    makers: dict[str, Callable[[], Any] | None] = {
        "attention": (lambda: sample_attention(model, files)) if model else None,
        "training": (lambda: read_training_curves(model_run)) if model_run else None,
        "data": (lambda: describe_data(statistics, anomalies, schema, figures)) if statistics and schema else None,
        "card": (lambda: describe_model(model)) if model else None,
    }
    parts, failed = {}, {}
    for name, make in makers.items():
        try:
            parts[name] = _plain(make()) if make else None
        except Exception as error:  # the report only shows these details: a run succeeds without them
            logging.exception("a part of the report's details is missing")
            parts[name], failed[name] = None, f"{type(error).__name__}: {error}"
    return {**parts, "failed": failed}


def _there(place: Path | None) -> Path | None:
    return place if place and place.exists() else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return None if isinstance(value, float) and not math.isfinite(value) else value


def describe_model(model: Path) -> dict[str, Any]:
    """Describes a SavedModel that `din_trainer` exported.

    Returns:
        `versions`: those of the installed libraries. `code`: the fingerprint of the `din_trainer` that made the model. `parameters`: the
        number of trained weights. `bytes`: the size of the folder.

    Raises:
        OSError: A file of the model is missing.
    """
    origin = json.loads((model / ORIGIN_FILE).read_text())
    return {
        "versions": {library: version(library) for library in LIBRARIES},
        "code": origin["source"],
        "parameters": origin["parameters"],
        "bytes": sum(path.stat().st_size for path in model.rglob("*") if path.is_file()),
    }
