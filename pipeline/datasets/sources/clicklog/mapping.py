"""The mapping of a click log: a TOML file that says what the columns mean, and its checks."""

import re
import tomllib
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, FiniteFloat, StrictBool, StrictInt, field_validator, model_validator

from components.base.errors import InputError
from din_trainer.features import HISTORICAL_TIMESTAMPS, TIMESTAMP
from din_trainer.frozen import Frozen
from pipeline.configuration.load_config import parse_section
from pipeline.datasets.sources.clicklog.files_mapping import FilesMapping
from pipeline.datasets.sources.clicklog.list_mapping import ListMapping, check_lists
from pipeline.datasets.sources.clicklog.side_mapping import ItemsMapping, UsersMapping
from pipeline.datasets.sources.interactions import CANDIDATE, HISTORICAL, HISTORICAL_ITEMS, ITEM, LABEL, REQUEST, SPLIT, USER

DType = Literal["bytes", "int64", "float"]
Unit = Literal["s", "ms", "us", "ns", "iso"]
_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")
_WHOLE = re.compile(r"(-?[0-9]+)\.0*")


def label_text(value: Any) -> str:
    """Returns the text by which values of a label are compared: "true" or "false" for a truth value, no fraction for a whole number.

    Blanks at its ends do not count.

    Raises:
        ValueError: The value is not a text, a number or a truth value.
    """
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, str | int | float):
        raise ValueError("not a text")
    text = str(value).strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    whole = _WHOLE.fullmatch(text) if "." in text else None
    return whole[1] if whole else text


class LabelMapping(Frozen):
    """Which rows are clicks, where the column is not 0 or 1.

    Values are compared by `label_text`; a number of `at_least` or more is a click.
    """

    column: str = Field("", description="Empty: the label of [columns]; where both are missing, all rows are clicks.")
    positive: tuple[StrictBool | StrictInt | str, ...] = Field((), description="Values that are clicks.")
    negative: tuple[StrictBool | StrictInt | str, ...] | None = Field(
        None, description="Values that are not clicks; rows with other values are dropped. None: all other values."
    )
    at_least: FiniteFloat | None = None

    @model_validator(mode="after")
    def _check(self) -> "LabelMapping":
        if (self.positive or self.negative is not None or self.at_least is not None) and not self.column:
            raise ValueError("it needs the column: set label.column")
        if self.at_least is not None and (self.positive or self.negative is not None):
            raise ValueError("at_least is for numbers, positive and negative are for words: remove one")
        if self.negative is not None and not self.positive:
            raise ValueError("negative needs positive beside it")
        if both := {*map(label_text, self.positive)} & {*map(label_text, self.negative or ())}:
            raise ValueError(f"{min(both)!r} is positive and negative")
        return self


class TimestampMapping(Frozen):
    """How times are written; without a time zone they are in UTC."""

    unit: Unit = Field("s", description="Unix time in s, ms, us or ns, or ISO 8601.")
    format: str = Field(
        "", description="In place of unit: the form of the text, in the codes of Python's strptime, e.g. %m/%d/%Y %I:%M:%S %p."
    )
    time: str = Field("", description="A column with the time of day; it is put behind the day, with a blank between them.")

    @field_validator("format")
    @classmethod
    def _check_format(cls, value: str) -> str:
        try:
            datetime.strptime(datetime(2020, 7, 5, tzinfo=UTC).strftime(value), value)
        except (ValueError, re.error) as error:
            raise ValueError(f"it is not a form of times ({error})") from error
        return value

    @model_validator(mode="after")
    def _check(self) -> "TimestampMapping":
        if self.format and "unit" in self.model_fields_set:
            raise ValueError("unit and format both say how times are written: remove one")
        if self.time and not self.format and self.unit != "iso":
            raise ValueError('a column of the time of day needs format, or unit = "iso"')
        return self


class HistoryMapping(Frozen):
    """A column of the log with histories."""

    column: str
    separator: str = Field("", description="Between the values of a text, in brackets or not; lists of JSON and Parquet need none.")


class ImpressionsMapping(Frozen):
    """A column whose cells hold all items that were shown together, each with its label, e.g. "N1-0 N2-1"."""

    column: str = Field("", description="Empty: each row is one impression.")
    separator: str = Field(" ", min_length=1, description="Between the items of a cell.")
    label_separator: str = Field("-", min_length=1, description="Between an item and its label, which is 0 or 1.")

    @model_validator(mode="after")
    def _check(self) -> "ImpressionsMapping":
        if self.model_fields_set and not self.column:
            raise ValueError("it needs the column: set impressions.column")
        if self.separator == self.label_separator:
            raise ValueError("separator and label_separator must differ")
        return self


class Mapping(Frozen):
    """The whole mapping file.

    Attributes:
        columns: Feature -> column of the log.
        types: Feature -> type. A feature that is not named is bytes, whatever its type in the log. Times and the label have fixed types.
        lists: Feature with several values (tags, or a vector) -> how its cells are written.
        label: Which rows are clicks.
        labels: Further label -> which rows have it.
        timestamp: How times are written.
        files: How files are written, and a given split.
        histories: Feature -> column of the log with histories.
        events: History that is built -> column of the log: what is known of a click only after it, such as how long it was read.
        impressions: A column whose cells hold several impressions.
        items: A side table about the items.
        users: A side table about the users.
        missing: Feature -> further texts that mean "no value".
        history: What a built history holds: clicks with an "earlier" time, or all clicks "before" the impression in order. None: earlier
            where there are times.
    """

    columns: dict[str, str]
    types: dict[str, DType] = Field(default_factory=dict)
    lists: dict[str, ListMapping] = Field(default_factory=dict)
    label: LabelMapping = Field(default_factory=LabelMapping)
    labels: dict[str, LabelMapping] = Field(default_factory=dict)
    timestamp: TimestampMapping = Field(default_factory=TimestampMapping)
    files: FilesMapping = Field(default_factory=FilesMapping)
    histories: dict[str, HistoryMapping] = Field(default_factory=dict)
    events: dict[str, str] = Field(default_factory=dict)
    impressions: ImpressionsMapping = Field(default_factory=ImpressionsMapping)
    items: ItemsMapping = Field(default_factory=ItemsMapping)
    users: UsersMapping = Field(default_factory=UsersMapping)
    missing: dict[str, tuple[StrictInt | str, ...]] = Field(default_factory=dict)
    history: Literal["earlier", "before"] | None = None

    @model_validator(mode="after")
    def _check(self) -> "Mapping":
        for name in (USER,) if self.impressions.column else (USER, ITEM):
            if name not in self.columns:
                raise ValueError(f"columns has no {name}: say which column holds it")
        if self.impressions.column and ({ITEM, LABEL} & self.columns.keys() or self.label.column):
            raise ValueError("impressions gives the item and its label: remove them from columns and label")
        places = (self.columns, self.items.columns, self.users.columns, self.histories, self.events, self.labels)
        for name in (name for names in places for name in names):
            if not _NAME.fullmatch(name) or name in ("self", SPLIT):
                raise ValueError(f"{name!r} cannot be the name of a feature: use letters, digits and _, a letter first")
        for name in self.columns:
            if name.startswith(HISTORICAL):
                raise ValueError(f"columns.{name} is a history: set histories.{name}.column")
        for name in self.histories:
            if not name.startswith(HISTORICAL):
                raise ValueError(f"histories.{name} must be called {HISTORICAL}…s, e.g. historical_item_ids")
        items, users = self.items.columns, self.users.columns
        given = {"columns": [*self.columns], "items.columns": [*items], "users.columns": [*users], "labels": [*self.labels]}
        for (first, one), (second, other) in combinations(given.items(), 2):
            if both := {*one} & {*other}:
                raise ValueError(f"{min(both)} is in {first} and in {second}: remove one")
        if self.label.column and LABEL in self.columns:
            raise ValueError("the label is in columns.label and label.column: remove one")
        if self.history and self.histories:
            raise ValueError("history has no effect where [histories] gives them: remove one")
        if self.history == "earlier" and TIMESTAMP not in self.columns:
            raise ValueError('history = "earlier" needs columns.timestamp')
        if self.timestamp.time and TIMESTAMP not in self.columns:
            raise ValueError("timestamp.time needs columns.timestamp, the column of the day")
        self._check_labels()
        self._check_events()
        check_lists(self.lists, (self.columns, self.items.columns, self.users.columns, self.histories), self.types)
        self._check_types()
        return self

    def _check_labels(self) -> None:
        for name, label in self.labels.items():
            if name == LABEL or name in (USER, REQUEST, TIMESTAMP) or name.startswith((CANDIDATE, HISTORICAL)):
                raise ValueError(f"labels.{name} has a name that means something else: call it for example purchase")
            if not label.column or label.negative is not None:
                raise ValueError(f"labels.{name} needs a column, and has no negative: all other values are 0")
        if self.labels and self.impressions.column:
            raise ValueError("labels are for logs with one impression in a row: remove labels, or impressions")

    def _check_events(self) -> None:
        if self.events and self.histories:
            raise ValueError("events are for histories that are built, and here [histories] gives them: put them there")
        fields = {ITEM, *self.columns, *self.items.columns}
        for name in self.events:
            field = CANDIDATE + name.removeprefix(HISTORICAL)
            is_built = name == HISTORICAL_TIMESTAMPS or {field, field.removesuffix("s")} & fields
            if not name.startswith(HISTORICAL) or is_built:
                raise ValueError(f"events.{name} must be called {HISTORICAL}…s, and no field of the item may have this history")

    def _check_types(self) -> None:
        fixed = {LABEL, TIMESTAMP, HISTORICAL_TIMESTAMPS}
        features = {ITEM, *self.columns, *self.items.columns, *self.users.columns, *self.histories, *self.events} - {LABEL}
        for name in self.missing.keys() - features:
            raise ValueError(f"missing.{name} names no feature; features are {', '.join(sorted(features))}")
        known = features - fixed
        for name, dtype in self.types.items():
            if name not in known:
                raise ValueError(f"types.{name} names no feature with a type; features with a type are {', '.join(sorted(known))}")
            if dtype == "float" and name in (USER, REQUEST, ITEM, HISTORICAL_ITEMS):
                raise ValueError(f"types.{name} is float, but ids are bytes or int64")

    @property
    def has_label(self) -> bool:
        """Whether the log says which rows are clicks; where it does not, all are."""
        return bool(self.label_column or self.impressions.column)

    @property
    def label_column(self) -> str:
        """The column that says which rows are clicks; "" where there is none."""
        return self.label.column or self.columns.get(LABEL, "")

    def missing_texts(self, name: str) -> tuple[str, ...]:
        """Returns the further texts that mean that a feature has no value."""
        return tuple(map(str, self.missing.get(name, ())))

    def dtype(self, name: str) -> DType:
        """Returns a feature's type; a history has the type of the candidate's field, vectors and weights are floats."""
        if name.startswith(HISTORICAL) and name not in self.types and name not in self.lists:
            name = CANDIDATE + name.removeprefix(HISTORICAL).removesuffix("s")
        if (name in self.lists and self.lists[name].size) or self.is_weights(name):
            return "float"
        return self.types.get(name, "bytes")

    def is_weights(self, name: str) -> bool:
        """Whether a feature is the weights of tags."""
        return any(mapping.weights == name for mapping in self.lists.values())


def read_mapping(path: Path) -> Mapping:
    """Reads and checks a mapping.

    Raises:
        InputError: The file cannot be read, a key is unknown (with the nearest known one) or a value is wrong.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: name the mapping of the columns with --mapping.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): a mapping is a TOML file in UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML ({error}): correct it there.") from error
    return parse_section(Mapping, values, str(path))
