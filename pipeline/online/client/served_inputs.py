"""Derives what a served model reads from its signatures: from types and shapes, and from the names that the export gives to dimensions.

An older export, or one of another pipeline, names no dimensions. Then an open second dimension of `predict` counts as a history.
"""

from typing import get_args

from din_trainer.features import HISTORICAL_TIMESTAMPS, LONGEST_HISTORY, TIMESTAMP, USER_ID, Column
from din_trainer.kinds import DType
from din_trainer.raw_inputs import EVENTS_OF, TAGS_OF, Input, Use
from pipeline.online.client.connection import Signature, Tensor

_DTYPES: dict[str, DType] = {"DT_INT64": "int64", "DT_DOUBLE": "int64", "DT_STRING": "bytes", "DT_FLOAT": "float"}
_NUMBERS = ("DT_DOUBLE", "DT_FLOAT")


def served_inputs(signatures: dict[str, Signature]) -> list[Input]:
    """Returns what a model reads.

    A feature with one dimension more in `rank` than in `predict` belongs to the candidate. The ids of the candidate without a further
    dimension, the user's id and the time of the impression are required; the others may be missing.

    Raises:
        KeyError: An input has a type that no model of this pipeline has, or `rank` lacks it.
    """
    predict, rank = signatures["predict"].inputs, signatures["rank"].inputs
    transformed = signatures["transform_features"].outputs if "transform_features" in signatures else {}
    return [
        _input(name, tensor, len(rank[name].shape) > len(tensor.shape), transformed.get(name)) for name, tensor in sorted(predict.items())
    ]


def _input(name: str, tensor: Tensor, of_candidate: bool, transformed: Tensor | None) -> Input:
    number, axes = tensor.dtype in _NUMBERS, list(zip(tensor.shape, tensor.names or [""] * len(tensor.shape), strict=True))[1:]
    named = any(axis for _, axis in axes)
    sequence = next((axis.removeprefix(EVENTS_OF) for _, axis in axes if axis.startswith(EVENTS_OF)), "")
    tags = next((axis.removeprefix(TAGS_OF) for _, axis in axes if axis.startswith(TAGS_OF)), "")
    is_list = bool(sequence) if named else bool(axes) and (len(axes) > 1 or axes[0][0] < 0)
    inner = axes[1:] if is_list else axes
    width = None if inner and inner[0][0] < 0 else inner[0][0] if inner else 1
    required = name in (USER_ID, TIMESTAMP) or (of_candidate and width == 1 and not number)
    column = Column(name, _DTYPES[tensor.dtype], "context", "required" if required else "optional", width, number)
    if is_list:
        column = column._replace(role="behaviour", presence="sequence")
    elif of_candidate:
        column = column._replace(role="candidate")
    use = next((use for use in get_args(Use) if tensor.names and use == tensor.names[0]), _usual(column))
    most = transformed.shape[-1] if width is None and transformed else 1
    return Input(column, use, sequence, "", tags if use == "weight" else "", most if 0 < most <= LONGEST_HISTORY else 1)


def _usual(column: Column) -> Use:
    if column.name in (TIMESTAMP, HISTORICAL_TIMESTAMPS):
        return "time"
    if column.width is None and column.is_number:
        return "weight"
    return "event" if column.presence == "sequence" and column.width == 1 and not column.is_number else "value"


def served_history_length(signatures: dict[str, Signature], inputs: list[Input]) -> int | None:
    """Returns the most events of any history that the model reads, which the outputs of `transform_features` show; None if they do not."""
    transformed = signatures["transform_features"].outputs if "transform_features" in signatures else {}
    histories = {read.column.name for read in inputs if read.column.presence == "sequence"}
    lengths = {tensor.shape[1] for name, tensor in transformed.items() if name in histories and len(tensor.shape) > 1}
    return max(lengths) if lengths and min(lengths) > 0 and max(lengths) <= LONGEST_HISTORY else None
