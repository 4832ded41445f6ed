"""TF Serving's JSON form of predict requests and answers, to and from arrays; what it takes and refuses was read in its json_tensor.cc."""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any, Never

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf.meta_graph_pb2 import TensorInfo

from pipeline.online.stand_in.endpoint import Arrays, StatusError, invalid

_BYTES_SUFFIX = "_bytes"  # of the name of a string output that is written as base64
_NUMBERS = {tf.float32, tf.float64}
_INTEGERS = {tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint32, tf.uint64}
_SHOWN = 256  # characters of a value in a message


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a request. NaN and infinities are read, and what follows the object is not looked at.

    Raises:
        StatusError: It is no JSON object, or `signature_name` no string.
    """
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").lstrip()
    if not text:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document, _ = _DECODER.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_shown(document)} Is not object")
    if not isinstance(document.get("signature_name", ""), str):
        raise invalid(f"JSON Value: {_shown(document)} not formatted correctly. 'signature_name' key must be a string value.")
    return document


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("Number too big to be stored in double.")
    return value


_DECODER = json.JSONDecoder(parse_float=_float)


def read_tensors(document: dict[str, Any], inputs: Mapping[str, TensorInfo]) -> tuple[Arrays, bool]:
    """The tensors of a parsed request.

    Args:
        document: What `parse` gave.
        inputs: Those of the signature.

    Returns:
        Arrays by input, and whether they came in the row format (`instances`).

    Raises:
        StatusError: It does not fit the signature.
    """
    inputs = dict(inputs)  # protobuf's own maps do not take every str
    if "instances" in document:
        instances = document["instances"]
        if "inputs" in document:
            raise invalid(
                f"JSON Value: {_shown(document)} Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
            )
        if not isinstance(instances, list):
            raise invalid(f"JSON Value: {_shown(document)} Expecting 'instances' to be an list/array")
        if not instances:
            raise invalid(f"JSON Value: {_shown(document)} No values in 'instances' array")
        return _rows(instances, inputs), True
    if "inputs" in document:
        return _columns(document["inputs"], inputs), False
    raise invalid("Missing 'inputs' or 'instances' key")


def _rows(instances: list[Any], inputs: Mapping[str, TensorInfo]) -> Arrays:
    if not isinstance(instances[0], dict) and len(inputs) > 1:
        raise invalid("instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map")
    named = _is_named(instances[0])
    tensors: dict[str, _Tensor] = {}
    for number, instance in enumerate(instances):
        if _is_named(instance) != named:
            wanted, got = ("object", "list") if named else ("value/list", "object")
            raise invalid(f"Expecting {wanted} but got {got} at item {number} of input list")
        for name, value in instance.items() if named else [(next(iter(inputs)), instance)]:
            try:
                if name not in inputs:
                    raise invalid(f"JSON object: does not have named input: {name}")
                tensors.setdefault(name, _Tensor(inputs[name])).append(value)
            except StatusError as error:
                key = f" key: {name}" if named else ""
                code = error.code.name
                raise invalid(f"Failed to process element: {number}{key} of 'instances' list. Error: {code}: {error.message}") from error
        if named and instance.keys() != inputs.keys():
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. JSON object: {_shown(instance)} "
                f"keys must be equal to: {','.join(sorted(inputs))}"
            )
    return {name: tensor.array((len(instances), *tensor.shape)) for name, tensor in tensors.items()}


def _columns(values: Any, inputs: Mapping[str, TensorInfo]) -> Arrays:
    if not _is_named(values):
        if len(inputs) > 1:
            raise invalid("inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map")
        values = {next(iter(inputs)): values}
    result = {}
    for name, info in sorted(inputs.items()):
        if name not in values:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        tensor = _Tensor(info)
        tensor.append(values[name])
        result[name] = tensor.array(tensor.shape)
    return result


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


class _Tensor:
    """Values of one input, gathered from JSON values that all have one shape.

    Attributes:
        shape: Of each of the JSON values.
    """

    def __init__(self, info: TensorInfo) -> None:
        self.shape: tuple[int, ...] = ()
        self._dtype = tf.as_dtype(info.dtype)
        self._values: list[Any] = []
        self._size = -1  # of the first JSON value

    def append(self, value: Any) -> None:
        """Adds a scalar or nested lists."""
        first, former, before = self._size < 0, self.shape, len(self._values)
        self.shape = _shape(value)
        self._fill(value, 0)
        size = len(self._values) - before
        if first:
            self._size = size
        elif size != self._size:
            raise invalid(f"Expecting tensor size: {self._size} but got: {size}")
        elif self.shape != former:
            raise invalid(f"Expecting shape {_bracketed(former)} but got: {_bracketed(self.shape)}")

    def array(self, shape: tuple[int, ...]) -> np.ndarray:
        """All values, in a shape."""
        result = np.empty(len(self._values), self._dtype.as_numpy_dtype)
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, as in TF Serving
            result[:] = self._values
        return result.reshape(shape)

    def _fill(self, value: Any, level: int) -> None:
        rank = len(self.shape)
        if not isinstance(value, list):
            if level != rank:
                raise invalid(
                    f"JSON Value: {_shown(value)} found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {rank}"
                )
            self._values.append(self._element(value))
            return
        if level >= rank:
            raise invalid(f"Encountered list at unexpected level: {level} expected < {rank}")
        if len(value) != self.shape[level]:
            raise invalid(f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {self.shape[level]}")
        for element in value:
            self._fill(element, level + 1)

    def _element(self, value: Any) -> Any:
        """A value of the input's type."""
        dtype, is_int = self._dtype, isinstance(value, int) and not isinstance(value, bool)
        if dtype == tf.string:
            if isinstance(value, dict):
                return _decode_base64(value)
            if not isinstance(value, str):
                self._refuse(value)
            try:
                return value.encode("utf-8", "surrogateescape")
            except UnicodeEncodeError as error:
                raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from error
        if dtype in _INTEGERS:
            if not is_int or not dtype.min <= value <= dtype.max:
                self._refuse(value)
            return value
        if dtype in _NUMBERS:
            if not is_int and not isinstance(value, float):
                self._refuse(value)
            try:
                return float(value)
            except OverflowError as error:
                raise invalid("JSON Parse error: Number too big to be stored in double.") from error
        if dtype == tf.bool:
            if not isinstance(value, bool):
                self._refuse(value)
            return value
        raise StatusError(StatusCode.UNIMPLEMENTED, f"Conversion of JSON Value: {_shown(value)} to type: {_type_name(dtype)}")

    def _refuse(self, value: Any) -> Never:
        kinds = {type(None): "Null", bool: str(value), dict: "Object", list: "Array", str: "String"}
        kind = kinds.get(type(value), "Number")
        raise invalid(f"JSON Value: {_shown(value)} Type: {kind} is not of expected type: {_type_name(self._dtype)}")


def _shape(value: Any) -> tuple[int, ...]:
    """That of nested lists, as their first elements tell it."""
    sizes = []
    while isinstance(value, list):
        sizes.append(len(value))
        value = value[0] if value else None
    return tuple(sizes)


def _decode_base64(value: dict[str, Any]) -> bytes:
    if not _is_base64(value):
        raise invalid(f"JSON Value: {_shown(value)} not formatted correctly for base64 data")
    digits = "".join(value["b64"].split()).rstrip("=")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("Unable to base64 decode") from error


def _bracketed(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _type_name(dtype: tf.DType) -> str:
    return {tf.float32: "float", tf.float64: "double"}.get(dtype, dtype.name)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:_SHOWN]


def write_tensors(outputs: Arrays, rows: bool) -> bytes:
    """The answer to a request: `predictions` by row, or `outputs` by column; an only output goes without its name.

    Raises:
        StatusError: The outputs do not have a row each.
    """
    values = {name: _to_json(array.tolist() if array.dtype != np.float32 else _shortest(array), name) for name, array in outputs.items()}
    if not rows:
        return to_bytes({"outputs": values if len(values) > 1 else next(iter(values.values()))})
    size = None
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if size is not None and len(array) != size:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {size}")
        size = len(array)
    if len(values) == 1:
        return to_bytes({"predictions": next(iter(values.values()))})
    return to_bytes({"predictions": [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]})


def _shortest(array: np.ndarray) -> Any:
    """Floats with the fewest digits that give the same float32 again."""
    return array.astype("U32").astype(np.float64).tolist()


def _to_json(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_to_json(element, name) for element in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()} if name.endswith(_BYTES_SUFFIX) else value.decode("utf-8", "surrogateescape")
    return value


def to_bytes(document: Any) -> bytes:
    """JSON as it goes over the wire; bytes that are no text go as they are, as TF Serving sends them."""
    text = json.dumps(document, ensure_ascii=False)
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair, in a message that quotes the request
        return text.encode("utf-8", "replace")
