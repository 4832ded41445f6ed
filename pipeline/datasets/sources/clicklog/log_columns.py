"""Which columns a click log's batches have, and from which columns of the log they are made."""

from dataclasses import dataclass

import pyarrow as pa

from din_trainer.features import HISTORICAL_TIMESTAMPS
from pipeline.datasets.event_fields import history_fields
from pipeline.datasets.sources.clicklog.fields import Field, event, feature, label, scalar
from pipeline.datasets.sources.clicklog.histories import HistoryField
from pipeline.datasets.sources.clicklog.impression_lists import item_column, label_column
from pipeline.datasets.sources.clicklog.list_field import ListField, list_field
from pipeline.datasets.sources.clicklog.mapping import LabelMapping, Mapping
from pipeline.datasets.sources.clicklog.times import expected_time, to_seconds
from pipeline.datasets.sources.interactions import (
    HISTORICAL_ITEMS,
    ITEM,
    LABEL,
    REQUEST,
    SPLIT,
    TIMESTAMP,
    WITHOUT_HISTORY,
    history_name,
)


@dataclass(frozen=True)
class LogColumns:
    """The columns of a log and of its batches.

    Attributes:
        wanted: The columns to read from each file.
        fields: Single values and lists of the log, without labels.
        joined: The same, of the side table of items.
        users: The same, of the side table of users.
        histories: Histories of the log.
        joined_histories: Histories that the side table gives for the items of the log's histories: feature -> field of the candidate.
        labels: The labels; none where each row is a click.
        makes_requests: Whether each row of the file is a request, since it holds all impressions of one.
        schema: The columns of the batches.
    """

    wanted: list[str]
    fields: list[Field | ListField]
    joined: list[Field | ListField]
    users: list[Field | ListField]
    histories: list[HistoryField]
    joined_histories: dict[str, str]
    labels: list[Field]
    makes_requests: bool
    schema: pa.Schema


def log_columns(meaning: Mapping) -> LogColumns:
    """Returns the columns of a mapping."""
    impressions = meaning.impressions
    fields = [column_of(meaning, name, _column(meaning, name)) for name in meaning.columns if name != LABEL]
    if impressions.column:
        fields.append(feature(meaning, ITEM, item_column(impressions)))
    fields += [event(meaning, name, column) for name, column in meaning.events.items()]
    joined = [column_of(meaning, name, f"{column} of {meaning.items.file}") for name, column in meaning.items.columns.items()]
    users = [column_of(meaning, name, f"{column} of {meaning.users.file}") for name, column in meaning.users.columns.items()]
    histories = [HistoryField(_event(meaning, name), history.separator) for name, history in meaning.histories.items()]
    joined_histories = histories_of_items(meaning)
    labels = []
    if impressions.column:
        labels.append(label(LABEL, LabelMapping(), label_column(impressions)))
    elif meaning.label_column:
        labels.append(label(LABEL, meaning.label, meaning.label_column))
    labels += [label(name, mapping, mapping.column, pa.bool_()) for name, mapping in meaning.labels.items()]
    makes_requests = bool(impressions.column) and REQUEST not in meaning.columns
    schema = [pa.field(LABEL, pa.int64()), *(_in_schema(field) for field in [*fields, *joined, *users])]
    schema += [pa.field(name, pa.bool_()) for name in meaning.labels]
    schema += [pa.field(REQUEST, pa.int64())] * makes_requests
    schema += [each for history in histories for each in history_fields(history.name, history.element.type)]
    for name, source in joined_histories.items():
        schema += history_fields(name, next(field.type for field in joined if field.name == source))
    schema += [pa.field(SPLIT, pa.int64())] * bool(meaning.files.train)
    in_file = [*meaning.columns.values(), meaning.timestamp.time, meaning.label.column, impressions.column, *meaning.events.values()]
    in_file += [history.column for history in meaning.histories.values()] + [mapping.column for mapping in meaning.labels.values()]
    wanted = list(dict.fromkeys(column for column in in_file if column))
    return LogColumns(wanted, fields, joined, users, histories, joined_histories, labels, makes_requests, pa.schema(schema))


def column_of(meaning: Mapping, name: str, column: str) -> Field | ListField:
    """Returns the column of a feature with one value or several."""
    return list_field(meaning, name, column) or feature(meaning, name, column)


def _in_schema(field: Field | ListField) -> pa.Field:
    found = pa.field(field.name, field.type)
    return found.with_metadata(WITHOUT_HISTORY) if isinstance(field, ListField) and not field.history else found


def _column(meaning: Mapping, name: str) -> str:
    column = meaning.columns[name]
    return f"{column} {meaning.timestamp.time}" if name == TIMESTAMP and meaning.timestamp.time else column


def histories_of_items(meaning: Mapping) -> dict[str, str]:
    """Returns the histories of fields that the log has for candidates only: those of whole numbers are left out, since an item of a history
    may have no such field, and so are lists if they do not ask for a history.
    """
    if HISTORICAL_ITEMS not in meaning.histories:
        return {}
    fields = (column_of(meaning, name, "") for name in meaning.items.columns)
    names = {history_name(_in_schema(field)): field.name for field in fields if field.type != pa.int64()}
    return {history: name for history, name in names.items() if history and history not in meaning.histories}


def _event(meaning: Mapping, name: str) -> Field | ListField:
    """Returns the elements of a history. -1 means "no value" there, as everywhere in histories of whole numbers."""
    column, missing = meaning.histories[name].column, meaning.missing_texts(name)
    if name == HISTORICAL_TIMESTAMPS:
        return Field(name, column, pa.int64(), lambda raw: to_seconds(raw, meaning.timestamp, missing), expected_time(meaning.timestamp))
    if found := list_field(meaning, name, column):
        return found
    if meaning.dtype(name) == "int64":
        meaning = meaning.model_copy(update={"missing": meaning.missing | {name: ("-1", *missing)}})
    return scalar(meaning, name, column, is_id=True)
