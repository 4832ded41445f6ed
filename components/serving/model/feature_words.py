"""Says in words how each raw feature is written in a tf.Example, in raw tensors and in JSON, for the page of a model's signatures."""

from collections.abc import Iterator
from typing import Any

from din_trainer.features import FeatureConfig
from din_trainer.raw_inputs import Input, inputs_of, kept_inputs

_COUNTS = {"required": "exactly one", "optional": "at most one", "sequence": "any number, oldest first"}


def describe_features(features: FeatureConfig) -> Iterator[str]:
    """Yields lines of Markdown: a table of the features that a request has, and what holds for all of them."""
    inputs = inputs_of(features)
    yield from ["## Features", "", "| feature | role | in a tf.Example | in raw tensors |", "|---|---|---|---|"]
    for read in inputs:
        yield f"| `{read.column.name}` | {read.column.role} | {read.column.dtype}, {_in_example(read)} | {_in_tensors(read)} |"
    length = f"In a history the most recent {features.history_length} events count."
    if features.long_history_length:
        long, *_ = (column.name for column in features.aligned_columns[features.searched])
        length = f"In a history the most recent {features.history_length} events count, of `{long}` {features.long_history_length}."
    yield from ["", f"{length} Values that training never saw are allowed."]
    for behaviours in features.sequences.values():
        first, *others = (behaviour.history for behaviour in behaviours.values() if not behaviour.lookup)
        if others:
            yield f"In raw tensors an event of {', '.join(f'`{other}`' for other in others)} is padding where that of `{first}` is padding."
    yield from _lists(inputs)
    if kept := [f"`{read.column.name}`" for read in kept_inputs(features)]:
        yield f"Only the data has {', '.join(kept)}: no request has them."
    if joined := [f"`{column.name}`" for column in features.joined_columns]:
        yield f"The model looks up {', '.join(joined)} in its own tables: no request has them."


def _lists(inputs: Any) -> Iterator[str]:
    """Yields what holds for tags and vectors, if there are any."""
    for read in inputs:
        if read.column.width is None and not read.beside:
            yield f"Of `{read.column.name}` the first {read.most} values count{' for each event' if read.sequence else ''}."
    if any(read.column.width is None for read in inputs):
        yield "K is the number of values to which tags are padded: any number, the same for all in a tensor."
    if any(read.sequence and read.column.width != 1 for read in inputs):
        yield "In a tf.Example the values of all events follow one another in one list."


def _in_example(read: Input) -> str:
    column = read.column
    if column.width is None:
        if read.beside:
            return f"one for each value of `{read.beside}`"
        return f"any number; `{read.lengths}` (int64) has their number for each event" if read.sequence else "any number"
    if column.width == 1:
        return _COUNTS[column.presence]
    return f"{column.width} for each event, NaN throughout where it is missing" if read.sequence else f"exactly {column.width}, or none"


def _in_tensors(read: Input) -> str:
    column, missing = read.column, _shown(read.missing)
    events = "T events" if read.sequence or column.presence == "sequence" else ""
    if column.width is None:
        return f"padded with {missing} to K values" + (f" of each of {events}" if events else "")
    if column.width != 1:
        return f"{missing} throughout where it is missing" + (f", and to pad to {events}" if events else "")
    return {"required": "required", "optional": f"{missing} where it is missing"}.get(column.presence, f"padded with {missing} to {events}")


def _shown(missing: Any) -> str:
    if isinstance(missing, bytes):
        return '`""`'
    return "NaN" if missing != missing else "0" if missing == 0 else f"−{-missing}"
