"""How a request carries its id and its time, so that a log of requests can be joined to labels."""

from collections.abc import Sequence
from typing import Any

from components.serving.model.impression_tensors import Features, Impression, inputs_of
from din_trainer.features import REQUEST_ID, TIMESTAMP


def common_id(rows: Sequence[Impression]) -> bytes:
    """Returns the request id that all rows have; empty if they have none, or different ones."""
    ids = {_to_bytes(row.get(REQUEST_ID)) for row in rows}
    return ids.pop() if len(ids) == 1 else b""


def origin_features(row: Impression, features: Features) -> bytes:
    """Returns a serialised tf.Example with the request id and the time of a row, to be put behind that of its features.

    Two messages one after the other are one message. The model does not read these features, except the time if it is an input.
    """
    from tensorflow.core.example.example_pb2 import Example

    example, inputs = Example(), {read.column.name for read in inputs_of(features)}
    if name := _to_bytes(row.get(REQUEST_ID)):
        example.features.feature[REQUEST_ID].bytes_list.value.append(name)
    if TIMESTAMP not in inputs and isinstance(row.get(TIMESTAMP), int):
        example.features.feature[TIMESTAMP].int64_list.value.append(row[TIMESTAMP])
    return example.SerializeToString()


def _to_bytes(value: Any) -> bytes:
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    if isinstance(value, bytes) or value is None:
        return value or b""
    return str(value).encode(errors="surrogateescape")
