"""Turns what a user gives to `fit`, `evaluate`, `predict` or the model itself into the arrays that a model reads.

Each column is converted to its type, and checked. What is wrong ends in one sentence that names the feature, before TensorFlow sees it.
Rows are counted from 0.
"""

import difflib
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from din_trainer.features import PADDING_ID
from din_trainer.models.columns import Type, count_rows, read_histories, read_scalars

_TENSOR = {"int64": tf.int64, "bytes": tf.string, "float": tf.float32}


class Input(NamedTuple):
    """A column that a model reads.

    Attributes:
        name: The feature.
        dtype: Its type.
        sequence: The behaviour sequence that it belongs to, whose columns are aligned; empty for a column with one value for each row.
        missing: What the model reads where there is no value; in a sequence, what pads it.
        counts_as: What a missing value means, for the warning that says so.
        required: Whether each row needs a value.
        least: The smallest id; for numbers it has no meaning.
        most: The largest id, or None if any is possible.
        advice: What to do about an id that is too large.
    """

    name: str
    dtype: Type
    sequence: str = ""
    missing: Any = 0
    counts_as: str = ""
    required: bool = False
    least: int = 0
    most: int | None = None
    advice: str = ""

    def spec(self) -> tf.TensorSpec:
        """The tensor that the model reads."""
        return tf.TensorSpec([None, None] if self.sequence else [None], _TENSOR[self.dtype], name=self.name)


def check_features(data: Any, inputs: list[Input], said: set[str] | None = None) -> dict[str, Any]:
    """Reads the columns of a model from a dict, a pandas DataFrame or another mapping.

    Columns that the model does not read are named in a warning, and so are values that are missing.

    Args:
        data: The columns by name.
        inputs: What the model reads.
        said: Columns that were named already; those that are named now are added.

    Returns:
        By name (N,), histories (N, L): int64 and float32 as arrays, text as tensors. The columns of a sequence have one width.

    Raises:
        ValueError: A column is missing, has another number of rows, or holds what it must not.
    """
    said = set() if said is None else said
    columns = _columns(data, [column.name for column in inputs], said)
    counts = {name: count_rows(column) for name, column in columns.items()}
    first, rows = next(iter(counts.items()))
    for name, count in counts.items():
        if count != rows:
            raise ValueError(f"{name} has {count} rows, but {first} has {rows}")
    if rows == 0:
        raise ValueError("the data has no rows")
    arrays = {column.name: _read(columns[column.name], column, said) for column in inputs}
    for sequence in dict.fromkeys(column.sequence for column in inputs if column.sequence):
        arrays |= _aligned(arrays, [column for column in inputs if column.sequence == sequence])
    return {name: tf.constant(array) if array.dtype == object else array for name, array in arrays.items()}


def check_labels(labels: Any, rows: int) -> np.ndarray:
    """Reads labels: 0 or 1 for each row, as numbers or bools; (N,) float32.

    Raises:
        ValueError: Another value, a missing one, or another number of them.
    """
    values = _one_for_each_row("the label", labels, rows)
    wrong = (values != 0) & (values != 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        advice = ": (y + 1) / 2 turns -1 and 1 into 0 and 1" if (values == -1).any() and (np.abs(values) == 1).all() else ""
        raise ValueError(f"the label is {values[row]:g} in row {row}, but each label is 0 or 1{advice}")
    return values


def check_weights(weights: Any, rows: int) -> np.ndarray:
    """Reads weights of the rows in the loss: finite and not negative; (N,) float32.

    Raises:
        ValueError: Another value, a missing one, or another number of them.
    """
    values = _one_for_each_row("sample_weight", weights, rows)
    if (values < 0).any():
        row = int(np.argmax(values < 0))
        raise ValueError(f"sample_weight is {values[row]:g} in row {row}, but a weight is not negative")
    return values


def _one_for_each_row(name: str, column: Any, rows: int) -> np.ndarray:
    values, missing = read_scalars(name, column, "float")
    if len(values) != rows:
        raise ValueError(f"{name} has {len(values)} rows, but the features have {rows}")
    if missing.any():
        raise ValueError(f"{name} has no value in row {int(np.argmax(missing))}: leave such rows out")
    return values


def _columns(data: Any, names: list[str], said: set[str]) -> dict[str, Any]:
    """The columns with these names."""
    if not (isinstance(data, Mapping) or hasattr(data, "columns")):
        raise ValueError(
            f"the features are a {type(data).__name__}: give a dict of columns by name, a pandas DataFrame or a tf.data.Dataset"
        )
    given = [str(name) for name in data]
    absent = [name for name in names if name not in given]
    if absent:
        close = {name: difflib.get_close_matches(name, given, n=1) for name in absent}
        hints = [f"{name} (is it {match[0]}?)" if match else name for name, match in close.items()]
        raise ValueError(f"the data has no {', '.join(hints)}; it has {', '.join(given) or 'no column'}")
    surplus = [name for name in given if name not in names and name not in said]
    if surplus:
        said.update(surplus)
        warnings.warn(f"the model does not read {', '.join(surplus)}", stacklevel=3)
    return {name: data[name] for name in names}


def _read(given: Any, column: Input, said: set[str]) -> np.ndarray:
    """Reads a column, with its values in range and `missing` where there is none."""
    values, missing = (read_histories if column.sequence else read_scalars)(column.name, given, column.dtype)
    if column.dtype == "bytes":
        missing = missing | (values == b"")
    elif column.missing == -1:
        missing = missing | (values == -1)
    if column.required and missing.any():
        raise ValueError(f"{column.name} has no value in row {int(np.argmax(missing))}: leave such rows out, since it is required")
    if column.dtype == "int64":
        _check_ids(np.where(missing, column.least, values), column)
    values = values.copy()
    values[missing] = column.missing
    if missing.any() and column.counts_as and column.name not in said:
        said.add(column.name)
        warnings.warn(
            f"{column.name} has no value in {missing.sum()} of {len(values)} rows, which count as {column.counts_as}", stacklevel=3
        )
    return values


def _check_ids(ids: np.ndarray, column: Input) -> None:
    too_small = ids < column.least
    wrong = too_small | (ids > column.most) if column.most is not None else too_small
    if wrong.any():
        row = int(np.argwhere(wrong)[0][0])
        value = ids[wrong][0]
        allowed = f"{column.least} to {column.most}" if column.most is not None else f"{column.least} or more"
        pads = value == PADDING_ID or column.sequence
        advice = column.advice if value >= column.least else "0 pads histories" if pads else ""
        raise ValueError(f"{column.name} is {value} in row {row}, but its ids are {allowed}{advice and ': '}{advice}")


def _aligned(arrays: dict[str, np.ndarray], columns: list[Input]) -> dict[str, np.ndarray]:
    """Brings the columns of a sequence to one width.

    Raises:
        ValueError: One has an event where the first has none, or the other way round.
    """
    width = max(arrays[column.name].shape[1] for column in columns)
    result = {}
    for column in columns:
        array = arrays[column.name]
        result[column.name] = np.pad(array, ((0, 0), (0, width - array.shape[1])), constant_values=column.missing)
    first = columns[0]
    events = result[first.name] != first.missing
    for column in columns[1:]:
        differs = events != (result[column.name] != column.missing)
        if column.dtype != "float" and differs.any():
            row = int(np.argmax(differs.any(axis=1)))
            raise ValueError(
                f"{column.name} and {first.name} have events at different places in row {row}, but the histories of a sequence "
                "have their events side by side"
            )
    return result
