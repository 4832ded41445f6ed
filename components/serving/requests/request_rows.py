"""Turns a logged request into the impressions that it asked for: a row of raw values for each candidate, as the model saw them.

A request of `serving_default` has tf.Examples. They may hold any feature, so `request_id` and `timestamp` are read from there. A request of
`predict` or `rank` has the inputs of the signature and no others. There the id is the `client_id` of a gRPC request, which TF Serving logs,
and the time is that of the log, or the input `timestamp`. −1, "" and NaN are no values, and padding in histories and lists of candidates.
"""

import math
from collections.abc import Container, Iterator
from typing import Any

import numpy as np

from components.serving.requests.request_columns import RequestColumns
from din_trainer.features import EXAMPLES, REQUEST_ID, TIMESTAMP

Row = dict[str, Any]  # a feature without a value has no key; a history is a list

_MOST_VALUES = 1 << 23  # of a tensor; the largest that the stand-in answers has 64 MiB
_SCORING = ("", "serving_default", "predict", "rank")


class UnreadableRequest(ValueError):
    """A logged request that no impression can be made of. The message says why."""


def rows_of(log: Any, columns: RequestColumns) -> list[Row]:
    """Returns the impressions of a logged request.

    Args:
        log: A PredictionLog of TF Serving.
        columns: The roles of the inputs.

    Raises:
        UnreadableRequest: It is no request of `serving_default`, `predict` or `rank`, or its tensors do not fit together.
    """
    kind = log.WhichOneof("log_type")
    if kind != "predict_log":
        raise UnreadableRequest(f"it is a {kind or 'log without a request'}, but must be a predict_log")
    request = log.predict_log.request
    signature = request.model_spec.signature_name
    if signature not in _SCORING:
        raise UnreadableRequest(f"it asks the signature {signature!r}, which scores nothing")
    about: Row = {TIMESTAMP: int(log.log_metadata.timestamp_secs)} if log.log_metadata.timestamp_secs else {}
    if request.client_id:
        about[REQUEST_ID] = bytes(request.client_id)
    return [{**about, **row} for row in _rows(_arrays(request, columns), columns)]


def _arrays(request: Any, columns: RequestColumns) -> dict[str, np.ndarray]:
    import tensorflow as tf

    for name, tensor in request.inputs.items():
        if math.prod(dim.size for dim in tensor.tensor_shape.dim) > _MOST_VALUES:  # a proto may hold one value for all
            raise UnreadableRequest(f"input {name!r} has more than {_MOST_VALUES:,} values")
    try:
        return {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items() if name == EXAMPLES or columns.is_read(name)}
    except (TypeError, ValueError) as error:
        raise UnreadableRequest(f"a tensor cannot be read ({error})") from error


def _rows(inputs: dict[str, np.ndarray], columns: RequestColumns) -> Iterator[Row]:
    if not inputs:
        raise UnreadableRequest("it has no inputs")
    if set(inputs) == {EXAMPLES}:
        yield from (_row_of_example(record, columns) for record in inputs[EXAMPLES].ravel())
        return
    sizes = {len(array) if array.ndim else -1 for array in inputs.values()}
    if len(sizes) > 1 or -1 in sizes:
        raise UnreadableRequest("its inputs do not have the same number of rows")
    widths = {array.shape[1] for name, array in inputs.items() if columns.is_candidate(name) and array.ndim == 2}
    if len(widths) > 1:
        raise UnreadableRequest("the features of its candidates do not have the same number of candidates")
    integers = {name for name, array in inputs.items() if array.dtype == np.float64}
    lists = {name: array.tolist() for name, array in inputs.items()}
    for place in range(sizes.pop()):
        values = {name: found[place] for name, found in lists.items()}
        user = {name: value for name, value in values.items() if not columns.is_candidate(name)}
        offered = {name: value if isinstance(value, list) else [value] for name, value in values.items() if columns.is_candidate(name)}
        known = cleaned(user, columns, integers)
        for candidate in zip(*offered.values(), strict=True) if offered else [()]:
            row = cleaned(dict(zip(offered, candidate, strict=True)), columns, integers)
            if row or not offered:  # a candidate without any value is padding
                yield {**known, **row}


def _row_of_example(record: bytes, columns: RequestColumns) -> Row:
    from google.protobuf.message import DecodeError
    from tensorflow.core.example.example_pb2 import Example

    try:
        example = Example.FromString(record)
    except DecodeError as error:
        raise UnreadableRequest("an example of it is not a tf.Example") from error
    found: Row = {}
    for name, feature in ((name, feature) for name, feature in example.features.feature.items() if columns.is_read(name)):
        kind = feature.WhichOneof("kind")
        values = list(getattr(feature, kind).value) if kind else []
        if not columns.is_history(name) and len(values) > 1:
            raise UnreadableRequest(f"feature {name!r} of an example has {len(values)} values, but must have one")
        found[name] = values if columns.is_history(name) else values[0] if values else None
    return cleaned(found, columns)


def cleaned(values: Row, columns: RequestColumns, integers: Container[str] = ()) -> Row:
    """Returns a row without what is missing or padding. Numbers of `integers` were sent as floats, but are whole.

    Raises:
        UnreadableRequest: A value is a list and should not be, or is none and should be, or histories that go together differ in length.
    """
    row: Row = {}
    for name, value in values.items():
        if isinstance(value, list) != columns.is_history(name):
            wanted = "a list" if columns.is_history(name) else "one value"
            raise UnreadableRequest(f"input {name!r} must have {wanted} for each row")
        if not isinstance(value, list) and not (_is_missing(value) and not (columns.is_number(name) and value == -1)):
            row[name] = int(value) if name in integers else value
    for group in columns.sequences(values):
        events = values[group[0]]
        for name in group:
            if len(values[name]) != len(events):
                raise UnreadableRequest(f"the histories {group[0]!r} and {name!r} differ in length")
            row[name] = [value for value, event in zip(values[name], events, strict=True) if not _is_missing(event)]
    return row


def _is_missing(value: Any) -> bool:
    return not math.isfinite(value) if isinstance(value, float) else value in (None, -1, b"")
