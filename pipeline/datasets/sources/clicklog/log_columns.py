"""Which columns a click log's batches have, and from which columns of the log they are made."""

from dataclasses import dataclass

import pyarrow as pa

from din_trainer.features import HISTORICAL_TIMESTAMPS
from pipeline.datasets.sources.clicklog.fields import Field, feature, label, scalar
from pipeline.datasets.sources.clicklog.histories import HistoryField
from pipeline.datasets.sources.clicklog.impression_lists import item_column, label_column
from pipeline.datasets.sources.clicklog.mapping import LabelMapping, Mapping
from pipeline.datasets.sources.clicklog.times import expected_time, to_seconds
from pipeline.datasets.sources.interactions import CANDIDATE, HISTORICAL, HISTORICAL_ITEMS, ITEM, LABEL, REQUEST, SPLIT, TIMESTAMP


@dataclass(frozen=True)
class LogColumns:
    """The columns of a log and of its batches.

    Attributes:
        wanted: The columns to read from each file.
        fields: Single values of the log, without the label.
        joined: Single values that a side table gives.
        histories: Lists of the log.
        joined_histories: Lists that the side table gives for the items of the log's histories: feature -> field of the candidate.
        labels: The label; none where each row is a click.
        makes_requests: Whether each row of the file is a request, since it holds all impressions of one.
        schema: The columns of the batches.
    """

    wanted: list[str]
    fields: list[Field]
    joined: list[Field]
    histories: list[HistoryField]
    joined_histories: dict[str, str]
    labels: list[Field]
    makes_requests: bool
    schema: pa.Schema


def log_columns(meaning: Mapping) -> LogColumns:
    """Returns the columns of a mapping."""
    impressions = meaning.impressions
    fields = [feature(meaning, name, _column(meaning, name)) for name in meaning.columns if name != LABEL]
    if impressions.column:
        fields.append(feature(meaning, ITEM, item_column(impressions)))
    joined = [feature(meaning, name, f"{column} of {meaning.items.file}") for name, column in meaning.items.columns.items()]
    histories = [HistoryField(_event(meaning, name), history.separator) for name, history in meaning.histories.items()]
    joined_histories = histories_of_items(meaning)
    labels = []
    if impressions.column:
        labels.append(label(LABEL, LabelMapping(), label_column(impressions)))
    elif meaning.label_column:
        labels.append(label(LABEL, meaning.label, meaning.label_column))
    makes_requests = bool(impressions.column) and REQUEST not in meaning.columns
    schema = [(LABEL, pa.int64()), *((field.name, field.type) for field in [*fields, *joined])]
    schema += [(REQUEST, pa.int64())] * makes_requests + [(history.name, history.type) for history in histories]
    schema += [(name, pa.list_(pa.binary())) for name in joined_histories]
    schema += [(SPLIT, pa.int64())] * bool(meaning.files.train)
    in_file = [*meaning.columns.values(), meaning.timestamp.time, meaning.label.column, impressions.column]
    in_file += [history.column for history in meaning.histories.values()]
    wanted = list(dict.fromkeys(column for column in in_file if column))
    return LogColumns(wanted, fields, joined, histories, joined_histories, labels, makes_requests, pa.schema(schema))


def _column(meaning: Mapping, name: str) -> str:
    column = meaning.columns[name]
    return f"{column} {meaning.timestamp.time}" if name == TIMESTAMP and meaning.timestamp.time else column


def histories_of_items(meaning: Mapping) -> dict[str, str]:
    """Returns the histories of fields that the log has for candidates only; those of whole numbers are left out, since an item of a
    history may have no such field.
    """
    if HISTORICAL_ITEMS not in meaning.histories:
        return {}
    names = {f"{HISTORICAL}{name.removeprefix(CANDIDATE)}s": name for name in meaning.items.columns if meaning.dtype(name) == "bytes"}
    return {history: name for history, name in names.items() if history not in meaning.histories}


def _event(meaning: Mapping, name: str) -> Field:
    """Returns the elements of a history. -1 means "no value" there, as everywhere in histories of whole numbers."""
    column, missing = meaning.histories[name].column, meaning.missing_texts(name)
    if name == HISTORICAL_TIMESTAMPS:
        return Field(name, column, pa.int64(), lambda raw: to_seconds(raw, meaning.timestamp, missing), expected_time(meaning.timestamp))
    if meaning.dtype(name) == "int64":
        meaning = meaning.model_copy(update={"missing": meaning.missing | {name: ("-1", *missing)}})
    return scalar(meaning, name, column, is_id=True)
