"""A batch of one file, with the sentences that name the file, the impression and the feature of a problem."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.errors import DataError

_SHOWN = 60  # characters of a value


def value_type(column_type: pa.DataType) -> str | None:
    """Returns `int64`, `float` or `bytes`; None for a column without any value."""
    value = column_type.value_type if pa.types.is_list(column_type) or pa.types.is_large_list(column_type) else None
    if value is None:
        return None
    return "int64" if pa.types.is_integer(value) else "float" if pa.types.is_floating(value) else "bytes"


def list_columns(batch: pa.RecordBatch) -> Iterator[str]:
    """Yields the names of the columns that have values."""
    return (field.name for field in batch.schema if value_type(field.type) is not None)


class CheckedBatch:
    """A batch of impressions as columns of lists.

    Args:
        batch: N impressions.
        file: Their file, for messages.
        first: The index of the first impression in the file.

    Attributes:
        names: The features of which some impression has a value.
    """

    def __init__(self, batch: pa.RecordBatch, file: Path, first: int):
        self.size, self.file, self.names = batch.num_rows, file, set(list_columns(batch))
        self._batch, self._first = batch, first
        self._lengths = {name: pc.fill_null(pc.list_value_length(batch.column(name)), 0).to_numpy() for name in self.names}
        self._zeros = np.zeros(batch.num_rows, int)

    def lengths(self, name: str) -> np.ndarray:
        """How many values each impression has of a feature, (N,)."""
        return self._lengths.get(name, self._zeros)

    def dtype(self, name: str) -> str | None:
        """The type of a feature's values."""
        return value_type(self._batch.schema.field(name).type)

    def values(self, name: str) -> pa.Array:
        """All values of a feature, one impression after the other, (V,)."""
        return self._batch.column(name).flatten() if name in self.names else pa.array([], pa.int64())

    def numbers(self, name: str) -> np.ndarray:
        """All values of a feature as NumPy's, (V,)."""
        return self.values(name).to_numpy(zero_copy_only=False)

    def rows(self, name: str) -> np.ndarray:
        """The row of each value of a feature, (V,)."""
        return np.repeat(np.arange(self.size), self.lengths(name))

    def refuse(self, bad: np.ndarray, message: str) -> None:
        """Raises a DataError that names the first row at which `bad` (N,) is true."""
        if bad.any():
            raise DataError(f"{self.file}, impression {self._first + int(np.argmax(bad)) + 1}: {message}")

    def refuse_value(self, name: str, bad: np.ndarray, message: str) -> None:
        """Raises a DataError that names the row of the first value of a feature at which `bad` (V,) is true, and shows the value."""
        if bad.any():
            first = int(np.argmax(bad))
            shown = repr(self.values(name)[first].as_py())
            shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
            row = self._first + int(self.rows(name)[first]) + 1
            raise DataError(f"{self.file}, impression {row}: feature {name!r} {message.format(value=shown)}")
