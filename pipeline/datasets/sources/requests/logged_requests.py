"""Reads logged requests as impressions, with labels that came later. The histories are those of the requests: what the model really saw."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from components.base.errors import InputError
from components.serving.requests.request_logs import log_files, read_log
from components.serving.requests.request_rows import Row
from din_trainer.features import FeatureConfig
from pipeline.datasets.sources.interactions import BATCH_SIZE, HISTORICAL, ITEM, LABEL, REQUEST, SPLIT, TIMESTAMP, USER, Tally
from pipeline.datasets.sources.requests.later_labels import LaterLabels, read_labels
from pipeline.datasets.sources.requests.request_features import DeclaredFeatures, NamedFeatures, RequestFeatures, type_of

_LOOKED_AT = 1000  # requests of each file, from which the columns are known


@dataclass(frozen=True)
class LoggedRequests:
    """The impressions of a log of requests that are labelled.

    Args:
        log: A file or a folder, as `components.serving.requests.request_logs` reads it.
        labels: A table, as `later_labels.read_labels` reads it.
        window: Seconds after which an impression without a label counts as not clicked, up to the latest time of the labels, or of the log
            where labels have no times. None: an impression without a label is left out.
        features: What the inputs are, and which labels there are. None: names tell candidates and histories, and there is one label.

    Raises:
        InputError: There is no log, or none of its first requests can be read, or has an id, a user or an item; or no history of the
            features has a name by which an import knows it.
    """

    log: Path
    labels: Path
    window: int | None = None
    features: FeatureConfig | None = None
    name: str = "requests"
    has_negatives: bool = True
    history: Literal["earlier", "before"] = "before"
    repeats: Literal["latest", "all"] = "all"
    _read: dict[bool, LaterLabels] = field(default_factory=dict, init=False, repr=False)
    _faults: list[str] = field(default_factory=list, init=False, repr=False)  # of the first requests
    _used: set[Any] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        missing = [name for name in (REQUEST, USER, ITEM) if name not in self.schema.names]
        if missing:
            how = "send it as a feature of tf.Examples, or as the client_id of gRPC" if missing[0] == REQUEST else "an import needs it"
            fault = f"; {len(self._faults):,} of the first cannot be read: {self._faults[0]}" if self._faults else ""
            raise InputError(f"{self.log}: the requests have no {missing[0]}: {how} (docs/data.md says more){fault}.")
        if self.features and not any(name.startswith(HISTORICAL) for name in self.schema.names):
            raise InputError(f"the features have no history named {HISTORICAL}…, by which an import knows histories: rename one.")

    @property
    def rules(self) -> dict[str, str]:
        joined = f"{REQUEST} and {ITEM}, where {self.labels.name} has it"
        later = "left out" if self.window is None else f"0 if it is {self.window:,} s old at the latest time of the labels, else left out"
        return {
            "features": "those of the configuration; others are left out" if self.features else "all; types are those of the first values",
            "label": f"of {self.labels.name}, joined by {joined}; an impression without a label is {later}",
            "histories": "those of the requests, which the model saw",
            "time": f"{TIMESTAMP} of the request, or the time of the log, in whole seconds",
        }

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the impressions: the labels, and what the features or the first requests of each file give."""
        types: dict[str, pa.DataType] = {}
        for file in self.files():
            for logged in islice(read_log(file, self._known.columns), _LOOKED_AT):
                self._faults.extend([f"{file.name}, request {logged.number}: {logged.fault}"] * bool(logged.fault))
                for name, value in (item for row in logged.rows for item in row.items()):
                    if name not in self._beyond and (found := type_of(value)) is not None:
                        types.setdefault(name, found)
        labels = [pa.field(name, pa.bool_()) for name in self._known.labels[1:]]
        return pa.schema([pa.field(LABEL, pa.int64()), *labels, *self._known.fields(types)])

    @cached_property
    def _known(self) -> RequestFeatures:
        return DeclaredFeatures(self.features) if self.features else NamedFeatures()

    @property
    def _beyond(self) -> set[str]:
        """A request that holds one of these does not decide it."""
        return {LABEL, SPLIT, *self._known.labels[1:]}

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
        for logged in read_log(file, self._known.columns):
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
            self._read[tally.skip_broken] = read_labels(self.labels, own, self._known.labels)
            tally.note(f"broken rows of {self.labels.name} are left out", own.dropped.total())
        return self._read[tally.skip_broken]

    def _until(self, tally: Tally) -> int | None:
        until = self._labels(tally).until
        return until if until is not None or self.window is None else self._latest

    @cached_property
    def _latest(self) -> int | None:
        """The latest time of the log."""
        columns = self._known.columns
        times = (row.get(TIMESTAMP) for file in self.files() for logged in read_log(file, columns) for row in logged.rows)
        return max((time for time in times if isinstance(time, int)), default=None)

    def _labelled(self, row: Row, labels: LaterLabels, until: int | None, tally: Tally) -> Row | None:
        """Returns an impression with its label; None if it is left out.

        Raises:
            ValueError: No impression of a data set can have such a value.
        """
        for name in (REQUEST, *self._known.required, *([TIMESTAMP] if TIMESTAMP in self.schema.names else [])):
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
        for name in row.keys() - known.keys() - self._beyond:
            tally.note(f"values of {name} are left out, since the first {_LOOKED_AT:,} requests have no such feature", 1)
        self._known.check(known, self.schema)
        first, *further = [(label or 0) >> place & 1 for place in range(len(self._known.labels))]
        for name, value in zip(self._known.labels[1:], further, strict=True):
            if value and not first:
                tally.warn(f"impressions have the label {name} without a click", 1)
        return {**known, REQUEST: request, LABEL: first, **dict(zip(self._known.labels[1:], map(bool, further), strict=True))}

    def _batch(self, rows: list[Row]) -> pa.RecordBatch:
        columns = {column.name: pa.array([_value(column, row) for row in rows], column.type) for column in self.schema}
        return pa.RecordBatch.from_pydict(columns, schema=self.schema)


def _value(column: pa.Field, row: Row) -> Any:
    return row.get(column.name, [] if pa.types.is_list(column.type) else None)


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
