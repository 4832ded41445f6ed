"""Reads logged requests as impressions, with labels that came later. The histories are those of the requests: what the model really saw."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from components.base.errors import InputError
from components.serving.requests.request_columns import named_columns
from components.serving.requests.request_logs import log_files, read_log
from components.serving.requests.request_rows import Row
from pipeline.datasets.sources.interactions import BATCH_SIZE, HISTORICAL, ITEM, LABEL, REQUEST, SPLIT, TIMESTAMP, USER, Tally
from pipeline.datasets.sources.requests.later_labels import LaterLabels, read_labels

_LOOKED_AT = 1000  # requests of each file, from which the columns are known
_TYPES: dict[type, pa.DataType] = {int: pa.int64(), float: pa.float32(), bytes: pa.binary()}
_BEYOND = {LABEL, SPLIT}  # a request that holds one of these does not decide it


@dataclass(frozen=True)
class LoggedRequests:
    """The impressions of a log of requests that are labelled.

    Args:
        log: A file or a folder, as `components.serving.requests.request_logs` reads it.
        labels: A table, as `later_labels.read_labels` reads it.
        window: Seconds after which an impression without a label counts as not clicked, up to the latest time of the labels, or of the log
            where labels have no times. None: an impression without a label is left out.

    Raises:
        InputError: There is no log, or none of its first requests can be read, or has an id, a user or an item.
    """

    log: Path
    labels: Path
    window: int | None = None
    name: str = "requests"
    has_negatives: bool = True
    history: Literal["earlier", "before"] = "before"
    repeats: Literal["latest", "all"] = "all"
    _read: dict[bool, LaterLabels] = field(default_factory=dict, init=False, repr=False)
    _used: set[Any] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        missing = [name for name in (REQUEST, USER, ITEM) if name not in self.schema.names]
        if missing:
            how = "send it as a feature of tf.Examples, or as the client_id of gRPC" if missing[0] == REQUEST else "an import needs it"
            raise InputError(f"{self.log}: the requests have no {missing[0]}: {how} (docs/data.md says more).")

    @property
    def rules(self) -> dict[str, str]:
        joined = f"{REQUEST} and {ITEM}, where {self.labels.name} has it"
        later = "left out" if self.window is None else f"0 if it is {self.window:,} s old at the latest time of the labels, else left out"
        return {
            "label": f"of {self.labels.name}, joined by {joined}; an impression without a label is {later}",
            "histories": "those of the requests, which the model saw",
            "time": f"{TIMESTAMP} of the request, or the time of the log, in whole seconds",
        }

    @cached_property
    def schema(self) -> pa.Schema:
        """The features of the first requests of each file, with the types of their first values."""
        types: dict[str, pa.DataType] = {}
        for file in self.files():
            for logged in islice(read_log(file, named_columns()), _LOOKED_AT):
                for name, value in (item for row in logged.rows for item in row.items()):
                    if name not in _BEYOND and (found := _type_of(value)) is not None:
                        types.setdefault(name, found)
        if REQUEST in types:
            types[REQUEST] = pa.binary()
        return pa.schema([(LABEL, pa.int64()), *types.items()])

    def files(self) -> list[Path]:
        """Returns the files of the log."""
        return log_files(self.log)

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Yields the labelled impressions of a file; `tally` counts requests that cannot be read and impressions that are left out.

        Raises:
            InputError: As in `Source.read`; also where the labels name no items, but requests have several candidates.
        """
        labels, until = self._labels(tally), self._until(tally)
        rows: list[Row] = []
        for logged in read_log(file, named_columns()):
            if logged.fault:
                tally.count_broken(file, logged.number, logged.fault, "request")
                continue
            if not labels.names_items and len({(row.get(REQUEST), row.get(ITEM)) for row in logged.rows}) > len(
                {row.get(REQUEST) for row in logged.rows}
            ):
                raise InputError(
                    f"{file}, request {logged.number} has several candidates, but {labels.file} does not say which of them a label is for: "
                    f"add a column {ITEM} to it."
                )
            try:
                kept = [checked for row in logged.rows if (checked := self._labelled(row, labels, until, tally)) is not None]
            except ValueError as error:
                tally.count_broken(file, logged.number, str(error), "request")
                continue
            rows += kept
            while len(rows) >= BATCH_SIZE:
                yield self._batch(rows[:BATCH_SIZE])
                del rows[:BATCH_SIZE]
        yield self._batch(rows)
        if file == self.files()[-1]:
            tally.note(f"labels of {labels.file.name} match no logged request", len(labels.by_key) - len(self._used))

    def _labels(self, tally: Tally) -> LaterLabels:
        """Returns the labels, which are read once; the tally of that time counts broken rows."""
        if tally.skip_broken not in self._read:
            own = Tally(tally.skip_broken)
            self._read[tally.skip_broken] = read_labels(self.labels, own)
            tally.note(f"broken rows of {self.labels.name} are left out", own.dropped.total())
        return self._read[tally.skip_broken]

    def _until(self, tally: Tally) -> int | None:
        until = self._labels(tally).until
        return until if until is not None or self.window is None else self._latest

    @cached_property
    def _latest(self) -> int | None:
        """The latest time of the log."""
        times = (row.get(TIMESTAMP) for file in self.files() for logged in read_log(file, named_columns()) for row in logged.rows)
        return max((time for time in times if isinstance(time, int)), default=None)

    def _labelled(self, row: Row, labels: LaterLabels, until: int | None, tally: Tally) -> Row | None:
        """Returns an impression with its label; None if it is left out.

        Raises:
            ValueError: A value has another type than those before it.
        """
        for name in (REQUEST, USER, ITEM, *([TIMESTAMP] if TIMESTAMP in self.schema.names else [])):
            if name not in row:
                tally.drop(f"without {name}")
                return None
        request, item = _as_bytes(row[REQUEST]), row[ITEM]
        key = labels.key(request, _as_bytes(item))
        label = labels.by_key.get(key)
        if label is not None:
            self._used.add(key)
        elif self.window is None:
            tally.drop("without a label; --label-window says when these count as not clicked")
            return None
        elif until is None or TIMESTAMP not in row:
            tally.drop("without a label and without a time")
            return None
        elif row[TIMESTAMP] + self.window > until:
            tally.drop("without a label, and younger than the window: the label may still come")
            return None
        else:
            tally.note("impressions have no label after the window, and count as not clicked", 1)
        known = {name: value for name, value in row.items() if name in self.schema.names}
        for name in row.keys() - known.keys() - _BEYOND:
            tally.note(f"values of {name} are left out, since the first {_LOOKED_AT:,} requests have no such feature", 1)
        for name, value in known.items():
            found = _type_of(value)
            if name != REQUEST and found is not None and found != self.schema.field(name).type:
                raise ValueError(f"{name} is {value!r:.80}, which is of another type than in earlier requests")
        return {**known, REQUEST: request, LABEL: label or 0}

    def _batch(self, rows: list[Row]) -> pa.RecordBatch:
        columns = {column.name: pa.array([_value(column.name, row) for row in rows], column.type) for column in self.schema}
        return pa.RecordBatch.from_pydict(columns, schema=self.schema)


def _value(name: str, row: Row) -> Any:
    return row.get(name, [] if name.startswith(HISTORICAL) else None)


def _type_of(value: Any) -> pa.DataType | None:
    """Returns the type of a value; None for a list without values."""
    if isinstance(value, list):
        return pa.list_(_TYPES[type(value[0])]) if value else None
    return _TYPES[type(value)]


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
