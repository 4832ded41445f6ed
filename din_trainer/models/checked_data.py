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
from din_trainer.models.columns import Type, Values, count_rows, list_lengths, read_lists, read_scalars

_TENSOR = {"int64": tf.int64, "bytes": tf.string, "float": tf.float32, "double": tf.float64}
_NUMBERS = ("float", "double")


class Input(NamedTuple):
    """A column that a model reads.

    Attributes:
        name: The feature.
        dtype: Its type.
        sequence: The behaviour sequence that it belongs to, whose columns are aligned; empty for a column without events.
        width: How many values each row, or each event, has: 0 for a single one, without a dimension of its own; None for any number.
        missing: What the model reads where there is no value; in lists, what pads them.
        counts_as: What a missing value means, for the warning that says so.
        required: Whether each row, or each event, needs a value.
        least: The smallest id; for numbers it has no meaning.
        most: The largest id, or None if any is possible.
        advice: What to do about an id that is too large.
        beside: For weights of tags, the column of the tags.
        only_training: Whether the model reads it in training alone.
    """

    name: str
    dtype: Type
    sequence: str = ""
    width: int | None = 0
    missing: Any = 0
    counts_as: str = ""
    required: bool = False
    least: int = 0
    most: int | None = None
    advice: str = ""
    beside: str = ""
    only_training: bool = False

    @property
    def levels(self) -> list[str]:
        """What the lists of the column are of, from the outermost; empty for single values."""
        inner = "weights" if self.beside else "tags" if self.width is None else "floats"
        return ["events"] * bool(self.sequence) + [inner] * (self.width != 0)

    def spec(self) -> tf.TensorSpec:
        """The tensor that the model reads."""
        inner = [] if self.width == 0 else [self.width]
        return tf.TensorSpec([None, None, *inner] if self.sequence else [None, *inner], _TENSOR[self.dtype], name=self.name)


def check_features(data: Any, inputs: list[Input], said: set[str] | None = None, training: bool = False) -> dict[str, Any]:
    """Reads the columns of a model from a dict, a pandas DataFrame or another mapping.

    Columns that the model does not read are named in a warning, and so are values that are missing.

    Args:
        data: The columns by name.
        inputs: What the model reads.
        said: Columns that were named already; those that are named now are added.
        training: Whether to read the columns that only training reads.

    Returns:
        By name (N,), tags and vectors (N, K), and those of events (N, L) or (N, L, K): numbers as arrays, text as tensors. The columns of
        a sequence have one L, tags and their weights one K.

    Raises:
        ValueError: A column is missing, has another number of rows, or holds what it must not.
    """
    said = set() if said is None else said
    known = {column.name for column in inputs}
    inputs = [column for column in inputs if training or not column.only_training]
    columns = _columns(data, [column.name for column in inputs], said, known)
    counts = {name: count_rows(column) for name, column in columns.items()}
    first, rows = next(iter(counts.items()))
    for name, count in counts.items():
        if count != rows:
            raise ValueError(f"{name} has {count} rows, but {first} has {rows}")
    if rows == 0:
        raise ValueError("the data has no rows")
    for weights in (column for column in inputs if column.beside):
        _check_beside(columns, weights)
    arrays = {column.name: _read(columns[column.name], column, said) for column in inputs}
    for sequence in dict.fromkeys(column.sequence for column in inputs if column.sequence):
        arrays |= _aligned(arrays, [column for column in inputs if column.sequence == sequence], said)
    return {name: tf.constant(array) if array.dtype == object else array for name, array in arrays.items()}


def check_labels(labels: Any, rows: int, name: str = "the label") -> np.ndarray:
    """Reads labels: 0 or 1 for each row, as numbers or bools; (N,) float32. `name` is for messages.

    Raises:
        ValueError: Another value, a missing one, or another number of them.
    """
    values = _one_for_each_row(name, labels, rows)
    wrong = (values != 0) & (values != 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        advice = ": (y + 1) / 2 turns -1 and 1 into 0 and 1" if (values == -1).any() and (np.abs(values) == 1).all() else ""
        raise ValueError(f"{name} is {values[row]:g} in row {row}, but each label is 0 or 1{advice}")
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


def _columns(data: Any, names: list[str], said: set[str], known: set[str]) -> dict[str, Any]:
    """The columns with these names. Others are named in a warning, unless they are known or were named already."""
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
    surplus = [name for name in given if name not in known | said]
    if surplus:
        said.update(surplus)
        warnings.warn(f"the model does not read {', '.join(surplus)}", stacklevel=3)
    return {name: data[name] for name in names}


def _values(given: Any, column: Input) -> Values:
    if not column.levels:
        return read_scalars(column.name, given, column.dtype)
    return read_lists(column.name, given, column.dtype, column.levels, column.width or None)


def _check_beside(columns: Mapping[str, Any], weights: Input) -> None:
    """Checks that each tag has a weight, and each weight a tag.

    Raises:
        ValueError: A row has more of the ones than of the others.
    """
    tags = weights._replace(name=weights.beside, beside="")
    counts = [list_lengths(column.name, columns[column.name], column.levels) for column in (tags, weights)]
    rows = np.arange(len(counts[0][0]))
    for of_tags, of_weights in zip(*counts, strict=True):
        if (of_tags != of_weights).any():
            place = int(np.argmax(of_tags != of_weights))
            raise ValueError(
                f"{weights.name} has {of_weights[place]} values in row {rows[place]} where {weights.beside} has {of_tags[place]}, but each "
                "tag has a weight"
            )
        rows = np.repeat(rows, of_tags)


def _read(given: Any, column: Input, said: set[str]) -> np.ndarray:
    """Reads a column, with its values in range and `missing` where there is none."""
    values, missing = _values(given, column)
    if column.dtype == "bytes":
        missing = missing | (values == b"")
    elif column.missing == -1:
        missing = missing | (values == -1)
    lacking = missing.reshape(len(missing), -1).any(axis=1)
    if column.required and not column.sequence and lacking.any():
        raise ValueError(f"{column.name} has no value in row {int(np.argmax(lacking))}: leave such rows out, since it is required")
    if column.dtype == "int64":
        _check_ids(np.where(missing, column.least, values), column)
    values = values.copy()
    values[missing] = column.missing
    if not column.sequence and column.counts_as and lacking.any():
        _say_missing(column, f"{lacking.sum()} of {len(values)} rows", said)
    return values


def _say_missing(column: Input, where: str, said: set[str]) -> None:
    if column.name not in said:
        said.add(column.name)
        warnings.warn(f"{column.name} has no value in {where}, which count as {column.counts_as}", stacklevel=4)


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


def _aligned(arrays: dict[str, np.ndarray], columns: list[Input], said: set[str]) -> dict[str, np.ndarray]:
    """Brings the columns of a sequence to one number of events. The first one says which events there are.

    Raises:
        ValueError: One has a value where there is no event, or none at an event that needs one.
    """
    length = max(arrays[column.name].shape[1] for column in columns)
    result = {}
    for column in columns:
        array = arrays[column.name]
        widths = [(0, 0), (0, length - array.shape[1]), *[(0, 0)] * (array.ndim - 2)]
        result[column.name] = np.pad(array, widths, constant_values=column.missing)
    first = columns[0]
    events = result[first.name] != first.missing
    for column in columns[1:]:
        if column.dtype in _NUMBERS and not np.isnan(column.missing):  # a number like others, so that no place is known to be empty
            continue
        present = _present(result[column.name], column)
        differs = (present != events) if column.required else (present & ~events)
        if differs.any():
            row = int(np.argmax(differs.any(axis=1)))
            raise ValueError(
                f"{column.name} and {first.name} have events at different places in row {row}, but the histories of a sequence "
                "have their events side by side"
            )
        if column.counts_as and (events & ~present).any():
            _say_missing(column, f"{(events & ~present).sum()} of {events.sum()} events", said)
    return result


def _present(array: np.ndarray, column: Input) -> np.ndarray:
    """Where a column of events has a value: (N, L)."""
    present = ~np.isnan(array) if column.dtype in _NUMBERS else array != column.missing
    return present if column.width == 0 else present.any(axis=2)
