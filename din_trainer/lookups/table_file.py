"""Reads the file of a table of attributes: Parquet, CSV, or .npz with one array a column. TensorFlow is not imported."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from din_trainer.feature_parts import Lookup
from din_trainer.features import Column, FeatureConfig
from din_trainer.kinds import MISSING, DType, Tags
from din_trainer.lookups.attribute_table import AttributeTable
from din_trainer.lookups.joins import Join, joins
from din_trainer.lookups.table_values import wrong_value

_UNREADABLE = (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile, pa.ArrowException)
_LAST_SECOND = 10**11  # the year 5138; larger numbers are milliseconds


def read_table(lookup: Lookup, key_type: DType, joined: Iterable[Join]) -> AttributeTable:
    """Reads the columns of a table that are joined.

    Args:
        lookup: The table.
        key_type: The type of the ids that are looked up: `int64` or `bytes`.
        joined: What is joined from this table.

    Returns:
        The table. In its columns a missing id is −1, a missing text "", a missing number NaN (integers that are numbers become float64);
        tags are padded with the same, their weights with NaN.

    Raises:
        ValueError: The file cannot be read, has not these columns, or holds wrong or double rows; the sentence says what to do.
    """
    joined = list(joined)
    _refuse_two_types(lookup, joined)
    texts = {join.source for join in joined if join.column.dtype == "bytes"} | ({lookup.key} if key_type == "bytes" else set())
    table = _read(lookup.table, texts)
    keys = _keys(table, lookup, key_type)
    times = _times(table, lookup)
    order = pc.sort_indices(pa.table({"key": keys, "time": times}), [("key", "ascending"), ("time", "ascending")])
    keys, times = keys.take(order), times[order.to_numpy()]
    different, times_of = pc.unique(keys), np.unique(times)
    codes = pc.index_in(keys, value_set=different).to_numpy().astype(np.int64) * (len(times_of) + 1) + 1 + np.searchsorted(times_of, times)
    _refuse_double(lookup, keys, codes)
    columns = {join.source: _column(table, lookup, join, order) for join in joined}
    return AttributeTable(different, times_of, codes, columns)


def _refuse_two_types(lookup: Lookup, joined: list[Join]) -> None:
    """A column is kept once, so that all features that read it must read it as the same type."""
    first: dict[str, Join] = {}
    for join in joined:
        other = first.setdefault(join.source, join).column
        if (other.dtype, other.is_number, other.width) != (join.column.dtype, join.column.is_number, join.column.width):
            raise ValueError(
                f"{lookup.table}: {other.name!r} and {join.column.name!r} read column {join.source!r} as different types: "
                "give them the same dtype, or give the table a second column"
            )


def _read(file: str, texts: Iterable[str]) -> pa.Table:
    """Reads a file. CSV has no types, so its columns of `texts` are read as text: as numbers, 007 would become 7."""
    path = Path(file)
    try:
        if not path.is_file():  # opening a FIFO would hang
            raise FileNotFoundError("there is no such file")
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                return pa.table({name: _npz_column(arrays[name]) for name in arrays.files})
        if path.suffix == ".csv":
            return pyarrow.csv.read_csv(path, convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(texts, pa.string())))
        return pyarrow.parquet.read_table(path)
    except _UNREADABLE as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{file} cannot be read as a table of attributes ({first}): write .parquet, .csv or .npz") from error


def _npz_column(array: np.ndarray) -> pa.Array:
    if array.ndim == 1:
        return pa.array(array.tolist() if array.dtype.kind in "SU" else array)
    return pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), array.shape[1])


def _take(table: pa.Table, lookup: Lookup, name: str) -> pa.Array:
    if name not in table.column_names:
        raise ValueError(f"{lookup.table} has no column {name!r}; it has {', '.join(table.column_names)}")
    column = table.column(name).combine_chunks()
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _cast(values: pa.Array, dtype: DType, lookup: Lookup, name: str) -> pa.Array:
    """Values as int64, float64 or large_binary. Numbers as text are their digits, dates and times are unix seconds."""
    try:
        if dtype == "int64" and (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)):
            values = values.cast(pa.timestamp("s", getattr(values.type, "tz", None)))
        if dtype != "bytes":
            return values.cast(pa.int64() if dtype == "int64" else pa.float64())
        is_bytes = pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)
        return (values if is_bytes else values.cast(pa.large_string())).cast(pa.large_binary())
    except pa.ArrowInvalid as error:
        raise ValueError(f"{lookup.table}: column {name!r} is not {dtype} ({str(error).splitlines()[0]})") from error
    except pa.ArrowNotImplementedError as error:
        raise ValueError(f"{lookup.table}: column {name!r} is {values.type}, but {dtype} is declared") from error


def _keys(table: pa.Table, lookup: Lookup, key_type: DType) -> pa.Array:
    keys = _cast(_take(table, lookup, lookup.key), key_type, lookup, lookup.key)
    if not len(keys):
        raise ValueError(f"{lookup.table} has no rows")
    missing = pc.or_(keys.is_null(), pc.fill_null(pc.equal(keys, MISSING[key_type]), False))
    if pc.any(missing).as_py():
        raise ValueError(f"{lookup.table}: column {lookup.key!r} has no value in row {pc.index(missing, True).as_py() + 1}")
    return keys


def _times(table: pa.Table, lookup: Lookup) -> np.ndarray:
    if not lookup.valid_from:
        return np.zeros(table.num_rows, np.int64)
    times = _cast(_take(table, lookup, lookup.valid_from), "int64", lookup, lookup.valid_from)
    if times.null_count:
        raise ValueError(f"{lookup.table}: column {lookup.valid_from!r} has no time in row {pc.index(times.is_null(), True).as_py() + 1}")
    seconds = times.to_numpy()
    if seconds.max(initial=0) > _LAST_SECOND:
        raise ValueError(f"{lookup.table}: column {lookup.valid_from!r} holds {seconds.max()}, which is no time in unix seconds")
    return seconds


def _refuse_double(lookup: Lookup, keys: pa.Array, codes: np.ndarray) -> None:
    double = np.flatnonzero(np.diff(codes) == 0)
    if len(double):
        value = keys[int(double[0])].as_py()
        if lookup.valid_from:
            raise ValueError(f"{lookup.table} has two rows with {lookup.key} {value!r} and the same {lookup.valid_from}: keep one of them")
        raise ValueError(
            f"{lookup.table} has two rows with {lookup.key} {value!r}: keep one of them, or name the column of times as valid_from"
        )


def _column(table: pa.Table, lookup: Lookup, join: Join, order: pa.Array) -> np.ndarray:
    """A column in the order of the table, with a row without a value behind it."""
    result = _values(table, lookup, join, order)
    if wrong := wrong_value(result, join.column):
        raise ValueError(f"{lookup.table}: column {join.source!r} {wrong}")
    return result


def _values(table: pa.Table, lookup: Lookup, join: Join, order: pa.Array) -> np.ndarray:
    column = join.column
    values = _take(table, lookup, join.source)
    is_list = pa.types.is_list(values.type) or pa.types.is_large_list(values.type) or pa.types.is_fixed_size_list(values.type)
    if is_list != (column.width != 1):
        wanted = "one value" if column.width == 1 else "a list"
        raise ValueError(f"{lookup.table}: column {join.source!r} is {values.type}, but {column.name!r} has {wanted} in each row")
    values = values.take(order)
    if not is_list:
        return np.append(_plain(_cast(values, column.dtype, lookup, join.source), column), _missing(column))
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy().astype(np.int64)
    if column.width is not None and (wrong := np.flatnonzero((lengths != column.width) & (lengths > 0))).size:
        raise ValueError(
            f"{lookup.table}: column {join.source!r} has a list of {lengths[wrong[0]]}, but {column.name!r} has size {column.width}"
        )
    kind = object if column.dtype == "bytes" else np.asarray(_missing(column)).dtype
    result = np.full((len(lengths) + 1, column.width or int(lengths.max(initial=1))), _missing(column), kind)
    flat = _plain(_cast(pc.list_flatten(values), column.dtype, lookup, join.source), column)
    if column.width is None and (flat != flat if column.is_number else flat == _missing(column)).any():
        raise ValueError(f"{lookup.table}: column {join.source!r} has a list with a missing value: leave it out of the list")
    result[:-1][np.arange(result.shape[1]) < lengths[:, None]] = flat
    return result


def _missing(column: Column) -> Any:
    if column.dtype == "bytes":
        return b""
    if not column.is_number:
        return np.int64(-1)
    return np.float32("nan") if column.dtype == "float" else np.float64("nan")


def _plain(values: pa.Array, column: Column) -> np.ndarray:
    """Values (V,) with what stands for a missing one."""
    if column.dtype == "bytes":
        return np.array(values.fill_null(b"").to_pylist() or [b""], object)[: len(values)]
    if column.is_number:
        kind = np.float32 if column.dtype == "float" else np.float64
        return values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(kind)
    return values.fill_null(-1).to_numpy()


def read_tables(features: FeatureConfig) -> dict[str, AttributeTable]:
    """Reads all tables of a feature definition, by name.

    Raises:
        ValueError: As `read_table`.
    """
    joined = joins(features)
    columns = {column.name: column.dtype for column in features.columns}
    tables = {
        name: read_table(lookup, columns[lookup.of], [join for join in joined if join.lookup == name])
        for name, lookup in features.lookups.items()
    }
    for placed in features.placed:
        if isinstance(placed.feature, Tags) and placed.feature.lookup and placed.feature.weights:
            lookup = placed.feature.lookup
            _check_weights(features.lookups[lookup].table, tables[lookup], placed.feature.column or placed.name, placed.feature)
    return tables


def _check_weights(file: str, table: AttributeTable, source: str, feature: Tags) -> None:
    tags, weights = table.columns[source], table.columns[feature.weights]
    wrong = np.flatnonzero((tags != MISSING[feature.dtype]).sum(axis=1) != (~np.isnan(weights)).sum(axis=1))
    if len(wrong):
        key = table.keys[int(table.codes[wrong[0]]) // (len(table.times) + 1)].as_py()
        raise ValueError(f"{file}: the lists {source!r} and {feature.weights!r} of {key!r} differ in length: each value needs a weight")
