"""What an import of logged requests knows of their features: from a feature definition, or from the names and values of the requests."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import pyarrow as pa

from components.serving.model.data_rows import in_impression
from components.serving.model.impression_values import check_alignment, values_of
from components.serving.requests.request_columns import RequestColumns, declared_columns, named_columns
from components.serving.requests.request_rows import Row
from din_trainer.features import Column, FeatureConfig
from din_trainer.raw_inputs import Input, groups_of, inputs_of, kept_inputs
from pipeline.datasets.sample_rows import lengths_named
from pipeline.datasets.sources.interactions import ITEM, LABEL, OF_CANDIDATE, REQUEST, TIMESTAMP, USER

_TYPES: dict[type, pa.DataType] = {int: pa.int64(), float: pa.float32(), bytes: pa.binary()}
_DTYPES: dict[str, pa.DataType] = {"int64": pa.int64(), "float": pa.float32(), "bytes": pa.binary()}
_ALLOWED: dict[pa.DataType, set[type]] = {pa.int64(): {int}, pa.float32(): {int, float}, pa.binary(): {bytes}}


class RequestFeatures(Protocol):
    """What is known.

    Attributes:
        columns: The roles of the inputs.
        labels: The names of the labels, the first one first.
        required: Features without which an impression is left out.
    """

    @property
    def columns(self) -> RequestColumns: ...
    @property
    def labels(self) -> Sequence[str]: ...
    @property
    def required(self) -> Sequence[str]: ...

    def fields(self, seen: dict[str, pa.DataType]) -> list[pa.Field]:
        """Returns the columns of the impressions, from the types that the first requests have."""
        ...

    def check(self, row: Row, schema: pa.Schema) -> None:
        """Checks that a row is an impression of a data set.

        Raises:
            ValueError: It is none.
        """
        ...


class DeclaredFeatures:
    """Those of a feature definition. Other features of tf.Examples are left out."""

    def __init__(self, features: FeatureConfig):
        self.labels = features.labels
        self._inputs = [*inputs_of(features), *(read for read in kept_inputs(features) if read.column.name not in features.labels)]
        self._columns = [*features.columns, *(column for column in features.kept_columns if column.name not in features.labels)]
        self.columns = declared_columns(features, self._inputs[len(inputs_of(features)) :])
        needed = [column.name for column in self._columns if column.presence == "required" and column.name != features.weight]
        self.required = list(dict.fromkeys([USER, ITEM, *needed]))

    def fields(self, seen: dict[str, pa.DataType]) -> list[pa.Field]:
        """Returns the declared columns. What an import cannot do without is among them only if the requests have it."""
        types = {column.name: column for column in self._columns}
        found = {REQUEST: pa.field(REQUEST, pa.binary()), TIMESTAMP: pa.field(TIMESTAMP, pa.int64())}
        found = {name: field for name, field in found.items() if name in seen}
        lengths = {read.column.name: read.lengths for read in self._inputs if read.use != "weight"}
        wanted = {name: column for name, column in types.items() if name in seen or name not in (USER, ITEM, TIMESTAMP)}
        found |= {name: _field(column, lengths.get(name, "")) for name, column in wanted.items()}
        return list(found.values())

    @cached_property
    def _groups(self) -> list[list[str]]:
        return groups_of(self._inputs)

    def check(self, row: Row, schema: pa.Schema) -> None:
        """Checks the values as `din run` checks those of a data set."""
        flat = {name: value if isinstance(value, list) else [value] for name, value in row.items()}
        impression = {read.column.name: in_impression(flat, read) for read in self._inputs}
        for read in self._inputs:
            if read.column.presence != "required" or read.column.name in row:
                values_of(impression, read)
                _check_text(flat.get(read.column.name), read)
        check_alignment(impression, self._groups)


def _check_text(values: list[Any] | None, read: Input) -> None:
    """A hash is of any bytes; a vocabulary has text."""
    if read.column.dtype == "bytes" and read.use != "hash":
        for value in values or []:
            try:
                value.decode()
            except UnicodeDecodeError as error:
                raise ValueError(f"feature {read.column.name!r} is {value!r:.80}, which is no text in UTF-8") from error


def _field(column: Column, lengths: str) -> pa.Field:
    kind = _DTYPES[column.dtype]
    kind = pa.list_(kind) if column.presence == "sequence" or column.width != 1 else kind
    known = {**(lengths_named(lengths) if lengths else {}), **(OF_CANDIDATE if column.role == "candidate" else {})}
    return pa.field(column.name, kind, metadata=known or None)


class NamedFeatures:
    """Those that the requests have. Names give their roles, and first values their types; tags and vectors are none of them."""

    labels = (LABEL,)
    required = (USER, ITEM)

    def __init__(self) -> None:
        self.columns = named_columns()

    def fields(self, seen: dict[str, pa.DataType]) -> list[pa.Field]:
        """Returns the columns that were seen."""
        return [pa.field(name, pa.binary() if name == REQUEST else kind) for name, kind in seen.items()]

    def check(self, row: Row, schema: pa.Schema) -> None:
        """Checks that the values have the types of earlier ones."""
        for name, value in row.items():
            if name != REQUEST and not _fits(value, schema.field(name).type):
                raise ValueError(f"{name} is {value!r:.80}, which is of another type than in earlier requests")


def _fits(value: Any, kind: pa.DataType) -> bool:
    if isinstance(value, list) != pa.types.is_list(kind):
        return False
    return set(map(type, value)) <= _ALLOWED[kind.value_type] if isinstance(value, list) else type(value) in _ALLOWED[kind]


def type_of(value: Any) -> pa.DataType | None:
    """Returns the type of a value; None for a list without values."""
    if isinstance(value, list):
        return pa.list_(_TYPES[type(value[0])]) if value else None
    return _TYPES[type(value)]
