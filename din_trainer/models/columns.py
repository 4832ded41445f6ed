"""Reads one column of a user's data, in any of the usual containers, into arrays of one type: the values, and which of them are missing.

A column may be a pandas Series, a NumPy array, a tensor or a list. A history may be a padded array (N, L), a `tf.RaggedTensor`, or lists in
a list, a Series or an array. (N, 1) counts as (N,), and (N, L, 1) as (N, L). None, NaN and `pandas.NA` are missing values.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf

Type = Literal["int64", "bytes", "float"]

_NUMERIC = ("integer", "floating", "mixed-integer-float", "boolean")  # what pandas calls arrays of objects that are numbers


class Values(NamedTuple):
    """The values of a column, and where none is: (N,), or (N, L) for a history. What stands at a missing place has no meaning."""

    values: np.ndarray
    missing: np.ndarray


def read_scalars(name: str, column: Any, dtype: Type) -> Values:
    """Reads a column with one value for each row.

    Args:
        name: The feature, for messages.
        column: Its values.
        dtype: The type to read: `int64`; `bytes` (text, as UTF-8); `float` (float32).

    Raises:
        ValueError: The values have another type or shape.
    """
    array = _as_array(name, column)
    if array.ndim == 1 and array.dtype == object and len(array) and all(_is_list(cell) and len(cell) == 1 for cell in array):
        array = _objects([cell[0] for cell in array])
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or (array.dtype == object and any(map(_is_list, array))):
        shape = array.shape if array.ndim != 1 else "lists"
        raise ValueError(f"{name} has {shape} where one value for each row belongs: give it the shape (N,) or (N, 1)")
    return _typed(name, array, dtype, lambda: np.arange(len(array)))


def read_histories(name: str, column: Any, dtype: Type) -> Values:
    """Reads a column with events for each row: (N, L). Lists of different lengths are padded on the right. Arguments as `read_scalars`.

    Raises:
        ValueError: The values have another type or shape.
    """
    if isinstance(column, tf.SparseTensor):
        column = tf.RaggedTensor.from_sparse(column)
    if isinstance(column, tf.RaggedTensor):
        if column.ragged_rank != 1 or column.shape.rank != 2:
            raise ValueError(f"{name} has the shape {column.shape} where a list of events for each row belongs")
        return _padded(name, column.flat_values.numpy(), column.row_lengths().numpy(), dtype)
    array = _as_array(name, column)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim == 1 and array.dtype == object:
        cells = [() if _is_missing(cell) else cell for cell in array]
        wrong = next((row for row, cell in enumerate(cells) if not _is_list(cell)), None)
        if wrong is not None:
            raise ValueError(f"{name}: {cells[wrong]!r} in row {wrong} is not a list of events")
        return _padded(name, _objects(list(chain.from_iterable(cells))), np.array([len(cell) for cell in cells], int), dtype)
    if array.ndim != 2:
        raise ValueError(f"{name} has the shape {array.shape} where events for each row belong: give lists, or an array (N, L)")
    flat = _typed(name, array.ravel(), dtype, lambda: np.repeat(np.arange(len(array)), array.shape[1]))
    return Values(flat.values.reshape(array.shape), flat.missing.reshape(array.shape))


def count_rows(column: Any) -> int:
    """The number of rows of a column; a single value has none."""
    shape = getattr(column, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else 0
    return len(column) if hasattr(column, "__len__") and not isinstance(column, str | bytes) else 0


def _is_list(cell: Any) -> bool:
    return isinstance(cell, list | tuple | pd.Series) or (isinstance(cell, np.ndarray) and cell.ndim > 0)


def _is_missing(cell: Any) -> bool:
    return not _is_list(cell) and bool(pd.isna(cell))


def _objects(values: Any) -> np.ndarray:
    """An array of the values as they are. NumPy would turn numbers beside text into text."""
    array = np.empty(len(values), object)
    for row, value in enumerate(values):
        array[row] = value
    return array


def _as_array(name: str, column: Any) -> Any:
    """A NumPy array; or a pandas array, which keeps whole numbers exact beside missing ones."""
    if isinstance(column, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array, whose mask would be lost: fill the masked places first")
    if isinstance(column, tf.RaggedTensor | tf.SparseTensor):
        raise ValueError(f"{name} is a {type(column).__name__} where one value for each row belongs")
    if isinstance(column, list | tuple):
        return _objects(column)
    if isinstance(column, pd.Series | pd.Index):
        return column.array if isinstance(column.dtype, pd.api.extensions.ExtensionDtype) else column.to_numpy()
    if isinstance(column, pd.api.extensions.ExtensionArray):
        return column
    if isinstance(column, str | bytes) or not hasattr(column, "__array__"):
        raise ValueError(f"{name} is {column!r}: give an array, a pandas Series, a tensor or a list")
    return np.asarray(column)


def _padded(name: str, flat: np.ndarray, lengths: np.ndarray, dtype: Type) -> Values:
    """Rows of events, one after the other, as (N, longest)."""
    events = _typed(name, flat, dtype, lambda: np.repeat(np.arange(len(lengths)), lengths))
    real = np.arange(lengths.max(initial=0)) < lengths[:, None]
    values, missing = np.zeros(real.shape, events.values.dtype), np.ones(real.shape, bool)
    values[real], missing[real] = events
    return Values(values, missing)


def _typed(name: str, array: Any, dtype: Type, rows_of: Callable[[], np.ndarray]) -> Values:
    """Converts values (V,) to a type; `rows_of` gives the row of each, for messages."""
    if dtype == "int64" and isinstance(array, np.ndarray) and array.dtype.kind in "bi":
        return Values(array.astype(np.int64), np.zeros(len(array), bool))  # the most usual form, which has no wrong value
    series, rows = pd.Series(array), rows_of()
    missing = series.isna().to_numpy(bool)
    kept = series[~missing].to_numpy()
    convert = {"int64": _whole_numbers, "bytes": _texts, "float": _floats}[dtype]
    present = convert(name, kept, rows[~missing])
    values = np.zeros(len(series), present.dtype)
    values[~missing] = present
    return Values(values, missing)


def _first(wrong: np.ndarray, values: np.ndarray, rows: np.ndarray) -> str:
    """The first wrong value, and where it is."""
    place = int(np.argmax(wrong))
    value = values[place]
    return f"{value.item() if isinstance(value, np.generic) else value!r} in row {rows[place]}"


def _numbers(name: str, values: np.ndarray, rows: np.ndarray, advice: str = "") -> np.ndarray:
    """Turns an array of objects into one of numbers; others stay as they are. `advice` says what to do about text."""
    if values.dtype.kind == "O" and len(values):
        inferred = pd.api.types.infer_dtype(values, skipna=False)
        if inferred in _NUMERIC:
            try:
                return np.array(values.tolist(), np.int64 if inferred in ("integer", "boolean") else np.float64)
            except OverflowError:
                raise ValueError(f"{name} holds a number that does not fit into 64 bits") from None
    if values.dtype.kind in "mM":
        raise ValueError(f"{name} holds dates or times: convert them to numbers")
    if len(values) and values.dtype.kind not in "biuf":
        wrong = np.array([not isinstance(value, int | float | np.number) for value in values.tolist()])
        raise ValueError(f"{name}: {_first(wrong, values, rows)} is not a number{advice}")
    return values if len(values) else np.zeros(0, np.int64)


def _whole_numbers(name: str, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    numbers = _numbers(name, values, rows, ": for text set dtype = 'bytes', and give make_model Vocabularies (docs/library.md)")
    if numbers.dtype.kind == "f":
        wrong = ~np.isfinite(numbers) | (numbers != np.floor(numbers))
        if wrong.any():
            raise ValueError(f"{name}: {_first(wrong, numbers, rows)} is not a whole number")
        wrong = np.abs(numbers) > 2.0 ** (np.finfo(numbers.dtype).nmant + 1)
        if wrong.any():
            raise ValueError(f"{name}: {_first(wrong, numbers, rows)} is not exact as {numbers.dtype}: keep ids as integers")
    elif numbers.dtype == np.uint64 and (numbers > np.iinfo(np.int64).max).any():
        raise ValueError(f"{name}: {_first(numbers > np.iinfo(np.int64).max, numbers, rows)} does not fit into int64")
    return numbers.astype(np.int64)


def _floats(name: str, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        numbers = _numbers(name, values, rows).astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name}: {_first(~np.isfinite(numbers), values, rows)} is not a finite number")
    return numbers


def _texts(name: str, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    wrong = np.array([not isinstance(value, str | bytes) for value in values.tolist()], bool)
    if wrong.any():
        raise ValueError(f"{name}: {_first(wrong, values, rows)} is not text: set dtype = 'int64', or convert it with astype(str)")
    try:
        return _objects([value.encode() if isinstance(value, str) else value for value in values.tolist()])
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: {error.object!r} is not text that UTF-8 can hold") from None
