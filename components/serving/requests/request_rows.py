"""Turns a logged request into the impressions that it asked for: a row of raw values for each candidate, as the model saw them.

A request of `serving_default` has tf.Examples. They may hold any feature, so `request_id` and `timestamp` are read from there. A request of
`predict` or `rank` has the inputs of the signature and no others. There the id is the `client_id` of a gRPC request, which TF Serving logs,
and the time is that of the log, or the input `timestamp`. −1, "" and NaN are no values, and padding in histories, lists of candidates and
tags; weights are padding where their tags are. Tags, weights and vectors can be told only where the features are known.
"""

import math
from collections.abc import Container, Iterator
from typing import Any

import numpy as np

from components.serving.model.data_rows import in_impression
from components.serving.model.impression_tensors import in_example
from components.serving.requests.request_columns import RequestColumns
from din_trainer.features import EXAMPLES, REQUEST_ID, TIMESTAMP
from din_trainer.raw_inputs import Input

Row = dict[str, Any]  # as a tf.Example has it: a feature without a value has no key; histories, tags and vectors are lists

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
    ranked = {name for name, array in inputs.items() if columns.is_candidate(name) and array.ndim - columns.is_list(name) == 2}
    widths = {inputs[name].shape[1] for name in ranked}
    if len(widths) > 1:
        raise UnreadableRequest("the features of its candidates do not have the same number of candidates")
    integers = {name for name, array in inputs.items() if array.dtype == np.float64}
    lists = {name: array.tolist() for name, array in inputs.items()}
    for place in range(sizes.pop()):
        values = {name: found[place] for name, found in lists.items()}
        user = {name: value for name, value in values.items() if not columns.is_candidate(name)}
        offered = {name: value if name in ranked else [value] for name, value in values.items() if columns.is_candidate(name)}
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
    raw: dict[str, list[Any]] = {}
    for name, feature in ((name, feature) for name, feature in example.features.feature.items() if columns.is_read(name)):
        kind = feature.WhichOneof("kind")
        raw[name] = list(getattr(feature, kind).value) if kind else []
    nested = {read.column.name: _nested(raw, read) for read in columns.lists() if read.column.name in raw or read.lengths in raw}
    found: Row = {}
    for name in sorted(raw.keys() - nested.keys() - {read.lengths for read in columns.lists()}):
        if not columns.is_history(name) and len(raw[name]) > 1:
            raise UnreadableRequest(f"feature {name!r} of an example has {len(raw[name])} values, but must have one{_hint(columns)}")
        found[name] = raw[name] if columns.is_history(name) else raw[name][0] if raw[name] else None
    return cleaned({**found, **nested}, columns)


def _nested(raw: dict[str, list[Any]], read: Input) -> Any:
    try:
        return in_impression(raw, read)
    except ValueError as error:
        raise UnreadableRequest(str(error)) from error


def cleaned(values: Row, columns: RequestColumns, integers: Container[str] = ()) -> Row:
    """Returns a row without what is missing or padding. Numbers of `integers` were sent as floats, but are whole.

    Args:
        values: The inputs of an impression: tags and vectors are lists, and those of events lists of lists.
        columns: The roles of the inputs.
        integers: Names.

    Returns:
        The row as a tf.Example has it: the tags and vectors of events follow one another, beside the lengths of the tags.

    Raises:
        UnreadableRequest: A value is a list and should not be, or is none and should be, or histories that go together differ in length.
    """
    row: Row = {}
    for name, value in values.items():
        if isinstance(value, list) != (columns.is_history(name) or columns.is_list(name)) and not (value is None and columns.is_list(name)):
            wanted = "a list" if columns.is_history(name) or columns.is_list(name) else "one value"
            raise UnreadableRequest(f"input {name!r} must have {wanted} for each row{_hint(columns)}")
        if not isinstance(value, list) and not (_is_missing(value) and not (columns.is_number(name) and value == -1)):
            row[name] = int(value) if name in integers else value
    kept = {name: value for name, value in values.items() if columns.is_list(name)}
    for group in columns.sequences(values):
        events = values[group[0]]
        for name in group:
            if len(values[name]) != len(events):
                raise UnreadableRequest(f"the histories {group[0]!r} and {name!r} differ in length")
            kept[name] = [value for value, event in zip(values[name], events, strict=True) if not _is_missing(event)]
            if not columns.is_list(name):
                row[name] = [_field(value, name, columns, name in integers) for value in kept[name]]
    return row | dict(_flat(kept, columns))


def _hint(columns: RequestColumns) -> str:
    return "" if columns.described else ": tags and vectors can be read only where the features are known, by --config"


def _flat(kept: Row, columns: RequestColumns) -> Iterator[tuple[str, list[Any]]]:
    """Yields the tags, weights and vectors of a row as lists of a tf.Example, without padding."""
    for read in columns.lists():
        value, beside = kept.get(read.column.name), kept.get(read.beside)
        if value is None:
            continue
        if read.column.presence == "sequence":
            tags = beside or [None] * len(value)
            values = [_without_padding(one, read, tag) for one, tag in zip(value, tags, strict=True)]
        else:
            values = _without_padding(value, read, beside)
        yield from ((name, flat) for name, _, flat in in_example(values, read))


def _without_padding(values: Any, read: Input, tags: Any) -> list[Any]:
    """Returns the values of a list without padding: tags without missing ones, weights without theirs, and a vector or nothing.

    A weight, or a part of a vector, that is no finite number is 0, as the model reads it.
    """
    if not isinstance(values, list | None):
        raise UnreadableRequest(f"input {read.column.name!r} must have a list for each event")
    values = values or []
    if read.use == "weight":
        if len(values) != len(tags or []):
            raise UnreadableRequest(f"the lists {read.column.name!r} and {read.beside!r} differ in length")
        return [_finite(weight) for weight, tag in zip(values, tags or [], strict=True) if not _is_missing(tag)]
    if read.column.width is None:
        return [tag for tag in values if not _is_missing(tag)]
    return [] if all(_is_no_number(number) for number in values) else [_finite(number) for number in values]


def _is_no_number(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _finite(number: Any) -> Any:
    return 0.0 if _is_no_number(number) else number


def _field(value: Any, name: str, columns: RequestColumns, whole: bool) -> Any:
    """Returns a value of an event: null or an infinite number as what means missing, and a whole number sent as a float as an integer."""
    if name in columns.described and not whole and _is_no_number(value):
        value = columns.described[name].missing
    if not whole:
        return value
    if not math.isfinite(value):
        raise UnreadableRequest(f"input {name!r} has no number for an event, but integers cannot be missing")
    return int(value)


def _is_missing(value: Any) -> bool:
    return not math.isfinite(value) if isinstance(value, float) else value in (None, -1, b"")
