"""TF Serving's JSON form of classify and regress requests: a list of objects, each of which becomes a tf.Example (json_tensor.cc)."""

from typing import Any

from tensorflow.core.example.example_pb2 import Example

from pipeline.online.stand_in.json_tensors import from_base64, is_base64
from pipeline.online.stand_in.status_error import invalid


def read_examples(document: dict[str, Any]) -> tuple[Example | None, list[Example]]:
    """Returns the context of a parsed request, if it has one, and its examples.

    Raises:
        StatusError: The request does not have this form.
    """
    context = _example(document["context"]) if "context" in document else None
    examples = document.get("examples")
    if not isinstance(examples, list) or not examples:
        raise invalid("the request must have a list of at least one example in 'examples'")
    return context, [_example(example) for example in examples]


def _example(value: Any) -> Example:
    if not isinstance(value, dict):
        raise invalid("an example must be an object")
    example = Example()
    for name, content in value.items():
        values = [_element(name, element) for element in (content if isinstance(content, list) else [content])]
        if len({type(element) for element in values}) > 1:
            raise invalid(f"feature {name!r} has values of several types")
        feature = example.features.feature[name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")]
        if values:
            kind = {int: feature.int64_list, float: feature.float_list, bytes: feature.bytes_list}[type(values[0])]
            kind.value.extend(values)
    return example


def _element(name: str, value: Any) -> int | float | bytes:
    """Returns a value of a feature; truth values are 0 and 1."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, bool) or (isinstance(value, int) and value < 1 << 63):
        return int(value)
    if isinstance(value, float):
        return value
    try:
        if is_base64(value):
            return from_base64(value["b64"])
    except ValueError:
        pass
    raise invalid(f"feature {name!r} has a value that is no number, text, truth value or base64")
