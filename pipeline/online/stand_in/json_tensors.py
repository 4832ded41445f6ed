"""TF Serving's JSON form of predict requests and answers, to and from arrays.

The rules were read in its json_tensor.cc and in RapidJSON 1.1.0, its parser.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Never

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf.meta_graph_pb2 import TensorInfo

from components.serving.model.impression_tensors import Tensors
from pipeline.online.stand_in.status_error import StatusError, invalid

_BYTES_SUFFIX = "_bytes"  # string outputs with such a name are written as base64
_FLOATS = {tf.float32, tf.float64}
_INTEGERS = {tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint32, tf.uint64}
_TYPES = {tf.string, tf.bool, *_FLOATS, *_INTEGERS}
_SMALL = {tf.int8, tf.int16, tf.uint8}  # TF Serving checks only that they are 32 bits, and drops the others
_SPACE = re.compile(r"[ \t\n\v\f\r]+")
_BASE64 = re.compile(r"((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2,3})?)([=.]*)")
_SHOWN = 256  # characters of a value in a message


def read_tensors(document: dict[str, Any], inputs: Mapping[str, TensorInfo]) -> tuple[Tensors, bool]:
    """Returns the tensors of a parsed request.

    Args:
        document: The result of `parse`.
        inputs: The inputs of the signature.

    Returns:
        An array for each input, and whether they came by row (`instances`) and not by column (`inputs`).

    Raises:
        StatusError: The request does not fit the signature.
    """
    inputs = dict(inputs)  # a protobuf map refuses some strings
    by_row = "instances" in document
    if by_row == ("inputs" in document):
        raise invalid("the request must have either 'instances' or 'inputs'")
    if not by_row:
        return _to_arrays(_columns(document["inputs"], inputs), inputs), False
    try:
        return _to_arrays(_columns_of_rows(document["instances"], inputs), inputs), True
    except StatusError as error:  # for rows TF Serving has one code for all refusals
        raise invalid(error.message) from error


def _columns(values: Any, inputs: Mapping[str, TensorInfo]) -> dict[str, Any]:
    """Returns the JSON value of each input; further keys are ignored, as in TF Serving."""
    if not _is_object(values):
        if len(inputs) > 1:
            raise invalid("'inputs' must be an object, since the signature has several inputs")
        return {next(iter(inputs)): values}
    for name in sorted(inputs):
        if name not in values:
            raise invalid(f"input {name!r} is missing")
    return values


def _columns_of_rows(instances: Any, inputs: Mapping[str, TensorInfo]) -> dict[str, Any]:
    """Returns the JSON values of each input over the instances."""
    if not isinstance(instances, list) or not instances:
        raise invalid("'instances' must be a list of at least one instance")
    are_objects = _is_object(instances[0])
    if not are_objects and len(inputs) > 1:
        raise invalid("instances must be objects, since the signature has several inputs")
    for number, instance in enumerate(instances):
        if _is_object(instance) != are_objects:
            raise invalid(f"instance {number} is {'not ' if are_objects else ''}an object, unlike the first one")
        if are_objects and instance.keys() != inputs.keys():
            raise invalid(f"instance {number} must have exactly the inputs {', '.join(sorted(inputs))}")
    if not are_objects:
        return {next(iter(inputs)): instances}
    return {name: [instance[name] for instance in instances] for name in inputs}


def is_base64(value: Any) -> bool:
    """Returns whether a JSON value is {"b64": "…"}."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def from_base64(text: str) -> bytes:
    """Decodes as `absl::Base64Unescape`: spaces anywhere, and either no padding or all of it, as `=` or `.`.

    Raises:
        ValueError: It is not base64.
    """
    found = _BASE64.fullmatch(_SPACE.sub("", text))
    if not found or (found[2] and len(found[2]) != -len(found[1]) % 4):
        raise ValueError
    return base64.b64decode(found[1] + "=" * (-len(found[1]) % 4))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _to_arrays(values: Mapping[str, Any], inputs: Mapping[str, TensorInfo]) -> Tensors:
    return {name: _to_array(name, values[name], tf.as_dtype(info.dtype)) for name, info in sorted(inputs.items())}


def _to_array(name: str, value: Any, dtype: tf.DType) -> np.ndarray:
    """Returns nested lists as an array."""
    shape, values, read = _shape(value), [], _reader(name, dtype)
    for element in _elements(name, value, shape):
        try:
            values.append(read(element))
        except (ValueError, OverflowError) as error:
            shown = json.dumps(element)[:_SHOWN]
            raise invalid(f"input {name!r} has the value {shown}, but {dtype.name} is needed") from error
    with np.errstate(over="ignore"):  # numbers beyond float32 become infinite, as in TF Serving
        array = np.array(values, np.int32 if dtype in _SMALL else dtype.as_numpy_dtype).astype(dtype.as_numpy_dtype)
    return array.reshape(shape)


def _shape(value: Any) -> tuple[int, ...]:
    """Returns the shape of nested lists, read from their first elements."""
    sizes = []
    while isinstance(value, list):
        sizes.append(len(value))
        value = value[0] if value else None
    return tuple(sizes)


def _elements(name: str, value: Any, shape: tuple[int, ...]) -> Iterator[Any]:
    """Yields the elements of nested lists, which must have the shape throughout."""
    if isinstance(value, list) != bool(shape) or (shape and len(value) != shape[0]):
        raise invalid(f"the lists of input {name!r} differ in length or depth")
    if not shape:
        yield value
        return
    for element in value:
        yield from _elements(name, element, shape[1:])


def _reader(name: str, dtype: tf.DType) -> Callable[[Any], Any]:
    """Returns what reads a JSON value as a value of a type. It raises ValueError or OverflowError for a value of another type."""
    if dtype == tf.string:
        return _text
    if dtype == tf.bool:
        return lambda value: value if isinstance(value, bool) else _refuse()
    if dtype in _FLOATS:
        return lambda value: float(value) if type(value) in (int, float) else _refuse()
    if dtype in _INTEGERS:
        limits = tf.int32 if dtype in _SMALL else dtype
        lowest, highest = limits.min, limits.max
        return lambda value: value if type(value) is int and lowest <= value <= highest else _refuse()
    return lambda value: _refuse_type(name, dtype)


def _text(value: Any) -> bytes:
    if is_base64(value):
        return from_base64(value["b64"])
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else _refuse()


def _refuse() -> Never:
    raise ValueError


def _refuse_type(name: str, dtype: tf.DType) -> Never:
    raise StatusError(StatusCode.UNIMPLEMENTED, f"input {name!r} is {dtype.name}, which JSON has no form for")


def write_tensors(outputs: Tensors, by_row: bool) -> bytes:
    """Returns the answer to a request: `predictions` by row, or `outputs` by column. A single output is written without its name.

    Raises:
        StatusError: An output has a type that JSON has no form for. By row: the outputs do not have one row for each instance.
    """
    for name, array in outputs.items():
        if array.size and tf.as_dtype(array.dtype) not in _TYPES:
            raise invalid(f"output {name!r} is {tf.as_dtype(array.dtype).name}, which JSON has no form for")
    values = {name: _to_json(array.tolist() if array.dtype != np.float32 else _shortest(array), name) for name, array in outputs.items()}
    if not by_row:
        return to_bytes({"outputs": values if len(values) > 1 else next(iter(values.values()))})
    rows = {array.shape[:1] for array in outputs.values()}
    if len(rows) > 1 or () in rows:
        raise invalid("the outputs have no rows, or not the same number of them")
    if len(values) == 1:
        return to_bytes({"predictions": next(iter(values.values()))})
    return to_bytes({"predictions": [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]})


def _shortest(array: np.ndarray) -> Any:
    """Returns the numbers that TF Serving writes for floats: 6 digits if they give the same float32 again, otherwise 9."""
    texts = [f"{value:.6g}" if np.float32(f"{value:.6g}") == value else f"{value:.9g}" for value in array.ravel()]
    return np.array(texts, np.float64).reshape(array.shape).tolist()


def _to_json(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_to_json(element, name) for element in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()} if name.endswith(_BYTES_SUFFIX) else value.decode("utf-8", "surrogateescape")
    return value


def to_bytes(document: Any) -> bytes:
    """Returns JSON as it is sent; bytes that are not UTF-8 stay as they are, as in TF Serving."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogateescape")
