"""Writes `signatures.md`, which lies beside a pushed model: its inputs, outputs and features, and requests that it accepts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.base.tfx_pins import read_meta_graph
from components.serving.model.exported_features import read_features
from components.serving.model.impression_tensors import Impression, json_instances, predict_tensors, rank_tensors
from din_trainer.config import ORIGIN_FILE
from din_trainer.features import HISTORICAL_TIMESTAMPS, TIMESTAMP, Column, FeatureConfig

SIGNATURES_FILE = "signatures.md"
_EXPLAINED = ("predict", "rank")  # the signatures that take raw tensors
_MISSING = {"int64": "−1", "bytes": '`""`', "float": "NaN"}


def describe_signatures(saved_model: Path, name: str = "NAME") -> str:
    """Returns the signatures of a SavedModel as Markdown: names, types, shapes. For a model of this pipeline also features and requests.

    Args:
        saved_model: The folder of the SavedModel. The graph is not loaded.
        name: The name of the model in requests.
    """
    signatures = read_meta_graph(saved_model).signature_def
    features = read_features(saved_model) if (saved_model / ORIGIN_FILE).is_file() else None
    lines = [f"# Signatures of {name}", "", "Read from the SavedModel beside this file. B is the number of instances in a request."]
    if features is not None:
        lines += ["T is the length to which histories are padded. N is the number of candidates of each instance of `rank`."]
    for signature in sorted(key for key in signatures if not key.startswith("__")):
        lines += ["", f"## `{signature}`", "", "| tensor | | type | shape |", "|---|---|---|---|"]
        for side, tensors in (("input", signatures[signature].inputs), ("output", signatures[signature].outputs)):
            lines += [f"| `{key}` | {side} | {_dtype(info)} | {_shape(key, info, features)} |" for key, info in sorted(tensors.items())]
    if features is not None:
        lines += ["", *_features(features)]
        for signature in _EXPLAINED:
            if signature in signatures:
                lines += ["", *_request(signature, features, name)]
    return "\n".join([*lines, ""])


def _dtype(info: Any) -> str:
    import tensorflow as tf

    return tf.dtypes.as_dtype(info.dtype).name


def _shape(name: str, info: Any, features: FeatureConfig | None) -> str:
    """Returns a shape such as (B, T). An open second size is T in a history and N elsewhere, but "?" in a model of another pipeline."""
    histories = {column.name for column in features.columns if column.presence == "sequence"} if features else set()
    unknown = ["B", "T" if name in histories else "N" if features else "?"]
    sizes = [dim.size for dim in info.tensor_shape.dim]
    return "(" + ", ".join(str(size) if size >= 0 else (*unknown, *"?" * axis)[axis] for axis, size in enumerate(sizes)) + ")"


def _features(features: FeatureConfig) -> Iterator[str]:
    yield from ["## Features", "", "| feature | role | in a tf.Example | in raw tensors |", "|---|---|---|---|"]
    counts = {"required": "exactly one", "optional": "at most one", "sequence": "any number, oldest first"}
    for column in features.columns:
        missing = _missing(column, features)
        raw = {"required": "required", "optional": f"{missing} where it is missing", "sequence": f"padded with {missing} to T events"}
        yield f"| `{column.name}` | {column.role} | {column.dtype}, {counts[column.presence]} | {raw[column.presence]} |"
    length = f"In a history the most recent {features.history_length} events count."
    yield from ["", f"{length} Values that training never saw are allowed."]
    for behaviours in features.sequences.values():
        first, *others = (behaviour.history for behaviour in behaviours.values())
        if others:
            yield f"In raw tensors an event of {', '.join(f'`{other}`' for other in others)} is padding where that of `{first}` is padding."


def _missing(column: Column, features: FeatureConfig) -> str:
    numeric = column.name in features.side and features.side[column.name].kind == "numeric"
    return _MISSING["float" if numeric else column.dtype]


def _request(signature: str, features: FeatureConfig, name: str) -> Iterator[str]:
    """Yields a REST request with invented ids, and how to send it."""
    rows = [_impression(features, number) for number in (1, 2)]
    tensors = predict_tensors(rows, features) if signature == "predict" else rank_tensors(rows, [rows, rows], features)
    body = json.dumps({"signature_name": signature, "instances": json_instances(tensors)})
    yield from [f"## REST request to `{signature}`", ""]
    if signature == "rank":
        yield "An instance is a user with N candidates, with the same N in every instance. Its answer is N probabilities."
    else:
        yield "An instance is an impression. Its answer is one probability."
    yield from ["Every instance has exactly these inputs. An input has the same shape in all instances.", ""]
    yield f"    curl -d '{body}' http://127.0.0.1:8501/v1/models/{name}:predict"


def _impression(features: FeatureConfig, number: int) -> Impression:
    """Returns an impression with invented values; the second one has longer histories."""

    def value(column: Column, event: int) -> Any:
        if column.name in (TIMESTAMP, HISTORICAL_TIMESTAMPS):
            return 1_700_000_000 + 60 * event
        return {"int64": event, "bytes": f"value{event}", "float": event / 2}[column.dtype]

    return {
        column.name: [value(column, event) for event in range(1, number + 1)]
        if column.presence == "sequence"
        else value(column, number + 2)
        for column in features.columns
    }
