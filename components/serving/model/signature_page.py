"""Writes `signatures.md`, which lies beside a pushed model: its inputs, outputs and features, and requests that it accepts."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from components.base.tfx_pins import read_meta_graph
from components.evaluation.labels import labels_of
from components.serving.model.exported_features import read_features
from components.serving.model.feature_words import describe_features
from components.serving.model.impression_tensors import Impression, json_instances, predict_tensors, rank_tensors
from din_trainer.config import ORIGIN_FILE
from din_trainer.features import FeatureConfig
from din_trainer.raw_inputs import CANDIDATES, EVENTS_OF, Input, dimension_names, inputs_of

SIGNATURES_FILE = "signatures.md"
_EXPLAINED = ("predict", "rank")  # the signatures that take raw tensors


def describe_signatures(saved_model: Path, name: str = "NAME") -> str:
    """Returns the signatures of a SavedModel as Markdown: names, types, shapes. For a model of this pipeline also features and requests.

    Args:
        saved_model: The folder of the SavedModel. The graph is not loaded.
        name: The name of the model in requests.
    """
    signatures = read_meta_graph(saved_model).signature_def
    features = read_features(saved_model) if (saved_model / ORIGIN_FILE).is_file() else None
    inputs = {read.column.name: read for read in inputs_of(features)} if features else {}
    lines = [f"# Signatures of {name}", "", "Read from the SavedModel beside this file. B is the number of instances in a request."]
    if features is not None:
        lines += ["T is the length to which histories are padded. N is the number of candidates of each instance of `rank`."]
    for signature in sorted(key for key in signatures if not key.startswith("__")):
        lines += ["", f"## `{signature}`", "", "| tensor | | type | shape |", "|---|---|---|---|"]
        for side, tensors in (("input", signatures[signature].inputs), ("output", signatures[signature].outputs)):
            for key, info in sorted(tensors.items()):
                lines.append(f"| `{key}` | {side} | {_dtype(info)} | {_shape(signature, key, info, inputs)} |")
    if features is not None:
        lines += ["", *describe_features(features)]
        for signature in _EXPLAINED:
            if signature in signatures:
                lines += ["", *_request(signature, features, name)]
    return "\n".join([*lines, ""])


def _dtype(info: Any) -> str:
    import tensorflow as tf

    return tf.dtypes.as_dtype(info.dtype).name


def _shape(signature: str, name: str, info: Any, inputs: Mapping[str, Input]) -> str:
    """Returns a shape such as (B, T). An open size is T of a history, N of candidates, K of tags; "?" in a model of another pipeline."""
    sizes = [dim.size for dim in info.tensor_shape.dim]
    names = dimension_names(inputs[name], rank=signature == "rank") if name in inputs and signature in _EXPLAINED else []
    letters = ["B", *(_letter(axis) for axis in names[1:])]
    if not names and inputs:
        letters.append("N")
    return "(" + ", ".join(str(size) if size >= 0 else (*letters, *"?" * axis)[axis] for axis, size in enumerate(sizes)) + ")"


def _letter(axis: str) -> str:
    return "N" if axis == CANDIDATES else "T" if axis.startswith(EVENTS_OF) else "K"


def _request(signature: str, features: FeatureConfig, name: str) -> Iterator[str]:
    """Yields a REST request with invented ids, and how to send it."""
    rows = [_impression(inputs_of(features), number) for number in (1, 2)]
    tensors = predict_tensors(rows, features) if signature == "predict" else rank_tensors(rows, [rows, rows], features)
    body = json.dumps({"signature_name": signature, "instances": json_instances(tensors)})
    labels = [label.output for label in labels_of(features)]
    each = f" for each label, by name: {', '.join(f'`{output}`' for output in labels)}" if len(labels) > 1 else ""
    yield from [f"## REST request to `{signature}`", ""]
    if signature == "rank":
        yield f"An instance is a user with N candidates, with the same N in every instance. Its answer is N probabilities{each}."
    else:
        yield f"An instance is an impression. Its answer is one probability{each}."
    yield from ["Every instance has exactly these inputs. An input has the same shape in all instances.", ""]
    yield f"    curl -d '{body}' http://127.0.0.1:8501/v1/models/{name}:predict"


def _impression(inputs: Iterable[Input], number: int) -> Impression:
    """Returns an impression with invented values; the second one has longer lists."""

    def value(read: Input, event: int) -> Any:
        if read.use == "time":
            return 1_700_000_000 + 60 * event
        return {"int64": event, "bytes": f"value{event}", "float": event / 2}[read.column.dtype]

    def values(read: Input, event: int) -> Any:
        if read.column.width == 1:
            return value(read, event)
        return [value(read, event + place) for place in range(read.column.width or number)]

    return {
        read.column.name: [values(read, event) for event in range(1, number + 1)]
        if read.column.presence == "sequence"
        else values(read, number + 2)
        for read in inputs
    }
