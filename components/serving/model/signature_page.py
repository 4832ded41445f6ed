"""`signatures.md` beside a pushed model: what it takes and gives, said by the model itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.base.pins import read_meta_graph
from components.serving.model.exported_features import read_features
from components.serving.model.impression_tensors import Impression, json_instances, predict_tensors, rank_tensors
from din_trainer.config import ORIGIN_FILE
from din_trainer.features import HISTORICAL_TIMESTAMPS, TIMESTAMP, Column, FeatureConfig

SIGNATURES_FILE = "signatures.md"
_EXPLAINED = ("predict", "rank")  # the signatures of raw tensors
_MISSING = {"int64": "−1", "bytes": '`""`', "float": "NaN"}


def describe_signatures(saved_model: Path, name: str = "NAME") -> str:
    """The signatures of a SavedModel as Markdown: names, types and shapes; for a model of this pipeline also features and requests.

    Args:
        saved_model: Its folder. The graph is not loaded.
        name: Of the model in requests.
    """
    signatures = read_meta_graph(saved_model).signature_def
    features = read_features(saved_model) if (saved_model / ORIGIN_FILE).is_file() else None
    lines = [f"# Signatures of {name}", "", "Read from the SavedModel beside this file. B is the number of instances of a request."]
    if features is not None:
        lines += ["T is what their histories are padded to, N the number of candidates of each, in `rank`."]
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
    """(B, T) and the like: a second size that is open is T in a history and N elsewhere in a model of this pipeline, else not known."""
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
    yield from ["", f"Of a history the most recent {features.history_length} events count. Values never seen in training are legal."]
    for behaviours in features.sequences.values():
        first, *others = (behaviour.history for behaviour in behaviours.values())
        if others:
            yield f"In raw tensors an event of {', '.join(f'`{other}`' for other in others)} is padding where that of `{first}` is."


def _missing(column: Column, features: FeatureConfig) -> str:
    numeric = column.name in features.side and features.side[column.name].kind == "numeric"
    return _MISSING["float" if numeric else column.dtype]


def _request(signature: str, features: FeatureConfig, name: str) -> Iterator[str]:
    """A body for REST with ids that are made up, and how to send it."""
    rows = [_impression(features, number) for number in (1, 2)]
    tensors = predict_tensors(rows, features) if signature == "predict" else rank_tensors(rows, [rows, rows], features)
    body = json.dumps({"signature_name": signature, "instances": json_instances(tensors)})
    yield from [f"## REST request to `{signature}`", ""]
    if signature == "rank":
        yield "An instance is a user with N candidates, the same N in every instance, and N probabilities come back for it."
    else:
        yield "An instance is an impression, and one probability comes back for it."
    yield from ["Every instance carries exactly these inputs, each of one shape in all of them.", ""]
    yield f"    curl -d '{body}' http://127.0.0.1:8501/v1/models/{name}:predict"


def _impression(features: FeatureConfig, number: int) -> Impression:
    """Made-up values; the second impression has the longer histories."""

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
