"""Reads one column of a user's data, in any of the usual containers, into arrays of one type: the values, and which of them are missing.

A column may be a pandas Series, a NumPy array, a tensor or a list. Lists of values, such as a history, may be a padded array (N, L), a
`tf.RaggedTensor`, or lists in a list, a Series or an array; lists of lists likewise, as (N, L, K). (N, 1) counts as (N,), and (N, L, 1) as
(N, L). None, NaN and `pandas.NA` are missing values.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf

Type = Literal["int64", "bytes", "float", "double"]

_NUMERIC = ("integer", "floating", "mixed-integer-float", "boolean")  # what pandas calls arrays of objects that are numbers


class Values(NamedTuple):
    """The values of a column, and where none is: (N,), (N, L) or (N, L, K). What stands at a missing place has no meaning."""

    values: np.ndarray
    missing: np.ndarray


def read_scalars(name: str, column: Any, dtype: Type) -> Values:
    """Reads a column with one value for each row.

    Args:
        name: The feature, for messages.
        column: Its values.
        dtype: The type to read: `int64`; `bytes` (text, as UTF-8); `float` (float32); `double` (float64).

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


def read_lists(name: str, column: Any, dtype: Type, levels: list[str], size: int | None = None) -> Values:
    """Reads a column with a list for each row, or a list of lists. Lists of different lengths are padded on the right.

    Args:
        name: As in `read_scalars`.
        column: As in `read_scalars`.
        dtype: As in `read_scalars`.
        levels: What the lists are of, for messages: one level gives (N, L), two give (N, L, K).
        size: How many values each innermost list has, if it is not empty; None for any number.

    Raises:
        ValueError: The values have another type or shape.
    """
    flat, lengths = _flatten(name, column, levels)
    wrong = ~np.isin(lengths[-1], (0, size)) if size is not None else np.zeros(1, bool)
    if wrong.any():
        place = int(np.argmax(wrong))
        rows = _rows(lengths[:-1]) if lengths[:-1] else np.arange(len(wrong))
        raise ValueError(f"{name} has {lengths[-1][place]} {levels[-1]} in row {rows[place]}, but its size is {size}")
    found = _typed(name, flat, dtype, lambda: _rows(lengths))
    for each in reversed(lengths):
        found = _padded(found, each)
    return found


def list_lengths(name: str, column: Any, levels: list[str]) -> list[np.ndarray]:
    """The lengths of the lists of a column, level by level. Arguments and errors are those of `read_lists`."""
    return _flatten(name, column, levels)[1]


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


def _flatten(name: str, column: Any, levels: list[str]) -> tuple[Any, list[np.ndarray]]:
    """All values of lists, one after the other, and the lengths of the lists of each level."""
    if isinstance(column, tf.SparseTensor):
        column = tf.RaggedTensor.from_sparse(column)
    if isinstance(column, tf.RaggedTensor) and column.shape.rank != len(levels) + 1:
        raise ValueError(f"{name} has the shape {column.shape} where {_description(levels)} belong")
    lengths: list[np.ndarray] = []
    for level in range(len(levels)):
        column, each = _opened(name, column, levels[level:], lengths)
        lengths.append(each)
    return column, lengths


def _opened(name: str, column: Any, levels: list[str], outer: list[np.ndarray]) -> tuple[Any, np.ndarray]:
    """Opens the lists of one level: what is in them, one after the other, and their lengths.

    Args:
        name: For messages.
        column: The lists.
        levels: What they are of, then what the lists within them are of.
        outer: The lengths of the lists that they were in, level by level.
    """
    if isinstance(column, tf.RaggedTensor):
        values = column.values
        return values if isinstance(values, tf.RaggedTensor) else values.numpy(), column.row_lengths().numpy()
    array = _as_array(name, column)
    if array.ndim == len(levels) + 2 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 1 and array.dtype == object:
        cells = [() if _is_missing(cell) else cell for cell in array]
        wrong = next((place for place, cell in enumerate(cells) if not _is_list(cell)), None)
        if wrong is not None:
            row = _rows(outer)[wrong] if outer else wrong
            raise ValueError(f"{name}: {cells[wrong]!r} in row {row} is not a list of {levels[0]}")
        return _objects(list(chain.from_iterable(cells))), np.array([len(cell) for cell in cells], int)
    if array.ndim != len(levels) + 1:
        raise ValueError(f"{name} has the shape {array.shape} where {_description(levels)} belong: give lists, or {_shape(levels)}")
    return array.reshape(-1, *array.shape[2:]), np.full(len(array), array.shape[1])


def _description(levels: list[str]) -> str:
    return f"{levels[0]} for each row" if len(levels) == 1 else f"{levels[1]} for each of the {levels[0]} of each row"


def _shape(levels: list[str]) -> str:
    return "an array (N, L)" if len(levels) == 1 else "an array (N, L, K)"


def _rows(lengths: list[np.ndarray]) -> np.ndarray:
    """The row of each value of lists."""
    rows = np.arange(len(lengths[0]))
    for each in lengths:
        rows = np.repeat(rows, each)
    return rows


def _padded(found: Values, lengths: np.ndarray) -> Values:
    """Lists one after the other, (V, …), as (N, longest, …)."""
    if len(lengths) and (lengths == lengths[0]).all():  # an array, whose values need not move
        shape = (len(lengths), lengths[0], *found.values.shape[1:])
        return Values(found.values.reshape(shape), found.missing.reshape(shape))
    real = np.arange(lengths.max(initial=0)) < lengths[:, None]
    shape = (*real.shape, *found.values.shape[1:])
    values, missing = np.zeros(shape, found.values.dtype), np.ones(shape, bool)
    values[real], missing[real] = found
    return Values(values, missing)


def _typed(name: str, array: Any, dtype: Type, rows_of: Callable[[], np.ndarray]) -> Values:
    """Converts values (V,) to a type; `rows_of` gives the row of each, for messages."""
    if dtype == "int64" and isinstance(array, np.ndarray) and array.dtype.kind in "bi":
        return Values(array.astype(np.int64), np.zeros(len(array), bool))  # the most usual form, which has no wrong value
    series, rows = pd.Series(array), rows_of()
    missing = series.isna().to_numpy(bool)
    kept = series[~missing].to_numpy()
    convert = {"int64": _whole_numbers, "bytes": _texts, "float": _floats, "double": _doubles}[dtype]
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


def _doubles(name: str, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return _finite(name, _numbers(name, values, rows).astype(np.float64), values, rows)


def _floats(name: str, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        numbers = _numbers(name, values, rows).astype(np.float32)
    return _finite(name, numbers, values, rows)


def _finite(name: str, numbers: np.ndarray, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
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
