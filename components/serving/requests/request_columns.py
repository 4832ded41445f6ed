"""Which inputs of a logged request belong to the candidate, and which are histories that go together."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from din_trainer.features import REQUEST_ID, TIMESTAMP, FeatureConfig
from din_trainer.raw_inputs import Input, groups_of, inputs_of

_CANDIDATE, _HISTORICAL, _ITEMS = "candidate_", "historical_", "historical_item_ids"


class RequestColumns(NamedTuple):
    """The roles of the inputs.

    Attributes:
        is_read: Whether an input counts. tf.Examples may hold others.
        is_candidate: Whether an input belongs to the candidate: `rank` has N values of it for each user.
        is_history: Whether an input is a history.
        is_number: Whether an input is an integer that is a number, so that −1 is a value.
        sequences: Puts histories into groups that go together; the first of a group says which events are real.
        described: What is known of each input, by name; nothing where only names are known. Then no input holds tags or vectors.
    """

    is_read: Callable[[str], bool]
    is_candidate: Callable[[str], bool]
    is_history: Callable[[str], bool]
    is_number: Callable[[str], bool]
    sequences: Callable[[Iterable[str]], list[list[str]]]
    described: Mapping[str, Input] = MappingProxyType({})

    def lists(self) -> Iterator[Input]:
        """Yields the inputs that have several values for each impression, candidate or event."""
        return (read for read in self.described.values() if read.column.width != 1)

    def is_list(self, name: str) -> bool:
        """Whether an input has several values for each impression, candidate or event."""
        return name in self.described and self.described[name].column.width != 1


def declared_columns(features: FeatureConfig, kept: Sequence[Input] = ()) -> RequestColumns:
    """Returns the roles that a feature definition gives.

    Args:
        features: What the model reads.
        kept: What tf.Examples may hold beside it, such as positions.
    """
    inputs = [*inputs_of(features), *kept]
    candidates = {read.column.name for read in inputs if read.column.role == "candidate"}
    groups = groups_of(inputs)
    histories = {name for group in groups for name in group}

    def sequences(names: Iterable[str]) -> list[list[str]]:
        there = set(names)
        return [[name for name in group if name in there] for group in groups if there & set(group)]

    numbers = {read.column.name for read in inputs if read.column.is_number and read.use != "position"}
    known = {column.name for column in features.columns} | {read.column.name for read in kept} | {REQUEST_ID, TIMESTAMP}
    described = {read.column.name: read for read in inputs}
    return RequestColumns(
        known.__contains__, candidates.__contains__, histories.__contains__, numbers.__contains__, sequences, MappingProxyType(described)
    )


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
