"""Gathers the details of a run for its report from the run's artifacts, which may be deleted later."""

import json
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from components.artifact_types import IMPORTANCE_FILE, TRIALS_FILE
from components.base.fingerprint import LIBRARIES
from components.base.shards import SPAN_SPLIT
from din_trainer.config import ORIGIN_FILE
from pipeline.records.metadata_store import RunOutputs
from pipeline.report.gather.attention_sample import sample_attention
from pipeline.report.gather.data_statistics import DataPart, describe_data, split_parts
from pipeline.report.gather.training_curves import read_training_curves


def gather_details(metadata: Path, run_id: str, model: Path | None, files: Iterable[Path], spans: Sequence[str] = ()) -> dict[str, Any]:
    """Gathers the details of a run as plain JSON: bytes become text, NaN and infinities become None.

    Args:
        metadata: The SQLite file of the metadata store.
        run_id: The id of the run.
        model: The SavedModel of the run; None if the run did not export one.
        files: The files of the eval split.
        spans: The names of spans whose statistics are shown if the run read no splits.

    Returns:
        `attention`, `importance`, `training`, `tuning`, `data` and `card`. A part is None if its artifacts are gone or cannot be read.
        `failed`: why a part could not be made, by its name. The log has the traces.
    """
    outputs = RunOutputs(metadata, run_id)
    schema, parts = _there(outputs.uri("ImportSchemaGen", "schema")), _data_parts(outputs, spans)
    figures = _there(outputs.uri("DriftValidator", "figures"))
    importance = _there(outputs.uri("FeatureImportance", "importance"))
    tuned = _there(outputs.uri("Tuner", "tuner_results"))
    model_run, model = _there(outputs.uri("Trainer", "model_run")), _there(model)
    makers: dict[str, Callable[[], Any] | None] = {
        "attention": (lambda: sample_attention(model, files)) if model else None,
        "importance": (lambda: json.loads((importance / IMPORTANCE_FILE).read_text())) if importance else None,
        "training": (lambda: read_training_curves(model_run)) if model_run else None,
        "tuning": (lambda: json.loads((tuned / TRIALS_FILE).read_text())) if tuned else None,
        "data": (lambda: describe_data(parts, schema, figures)) if parts and schema else None,
        "card": (lambda: describe_model(model)) if model else None,
    }
    made, failed = {}, {}
    for name, make in makers.items():
        try:
            made[name] = _plain(make()) if make else None
        except Exception as error:  # the report only shows these details: a run succeeds without them
            logging.exception("a part of the report's details is missing")
            made[name], failed[name] = None, f"{type(error).__name__}: {error}"
    return {**made, "failed": failed}


def _data_parts(outputs: RunOutputs, spans: Sequence[str]) -> list[DataPart]:
    """Returns the splits or spans of the run whose statistics are there."""

    def uris(suffix: str) -> tuple[Path | None, Path | None]:
        return _there(outputs.uri(f"StatisticsGen{suffix}", "statistics")), _there(outputs.uri(f"ExampleValidator{suffix}", "anomalies"))

    statistics, anomalies = uris("")
    if statistics:
        return split_parts(statistics, anomalies)
    found = [(span, *uris(f".{span}")) for span in spans]
    return [DataPart(span, span, SPAN_SPLIT, statistics, anomalies) for span, statistics, anomalies in found if statistics]


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
