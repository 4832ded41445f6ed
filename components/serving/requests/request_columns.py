"""Which inputs of a logged request belong to the candidate, and which are histories that go together."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from din_trainer.features import HISTORICAL_TIMESTAMPS, REQUEST_ID, TIMESTAMP, FeatureConfig

_CANDIDATE, _HISTORICAL, _ITEMS = "candidate_", "historical_", "historical_item_ids"


class RequestColumns(NamedTuple):
    """The roles of the inputs.

    Attributes:
        is_read: Whether an input counts. tf.Examples may hold others.
        is_candidate: Whether an input belongs to the candidate: `rank` has N values of it for each user.
        is_history: Whether an input is a history.
        is_number: Whether an input is an integer that is a number, so that −1 is a value.
        sequences: Puts histories into groups that go together; the first of a group says which events are real.
    """

    is_read: Callable[[str], bool]
    is_candidate: Callable[[str], bool]
    is_history: Callable[[str], bool]
    is_number: Callable[[str], bool]
    sequences: Callable[[Iterable[str]], list[list[str]]]


def declared_columns(features: FeatureConfig) -> RequestColumns:
    """Returns the roles that a feature definition gives."""
    candidates = {column.name for column in features.columns if column.role == "candidate"}
    groups = [[behaviour.history for behaviour in behaviours.values()] for behaviours in features.sequences.values()]
    groups[0] += [HISTORICAL_TIMESTAMPS] * features.time_gap
    histories = {name for group in groups for name in group}

    def sequences(names: Iterable[str]) -> list[list[str]]:
        there = set(names)
        return [[name for name in group if name in there] for group in groups if there & set(group)]

    numbers = {name for name, feature in features.side.items() if feature.kind == "numeric"}
    read = {column.name for column in features.columns} | {REQUEST_ID, TIMESTAMP}
    return RequestColumns(read.__contains__, candidates.__contains__, histories.__contains__, numbers.__contains__, sequences)


def named_columns() -> RequestColumns:
    """Returns the roles that the names give: `candidate_…` and `historical_…`, where all histories go with `historical_item_ids`.

    In tf.Examples and JSON, −1 counts as missing.
    """

    def sequences(names: Iterable[str]) -> list[list[str]]:
        histories = sorted((name for name in names if name.startswith(_HISTORICAL)), key=lambda name: (name != _ITEMS, name))
        return [histories] if _ITEMS in histories else [[name] for name in histories]

    return RequestColumns(
        lambda name: True,
        lambda name: name.startswith(_CANDIDATE),
        lambda name: name.startswith(_HISTORICAL),
        lambda name: False,
        sequences,
    )
