"""Which raw features come from tables, and by which ids."""

from typing import NamedTuple

from din_trainer.features import Column, FeatureConfig
from din_trainer.kinds import Tags


class Join(NamedTuple):
    """A raw feature that a table has.

    Attributes:
        column: The raw feature.
        lookup: The name of the table in `features.lookups`.
        source: The column of the table.
        ids: The raw feature whose ids are looked up: one for each value of `column`, or for each list of tags, or for each vector.
    """

    column: Column
    lookup: str
    source: str
    ids: str


def joins(features: FeatureConfig) -> list[Join]:
    """Returns what is joined, in the order of `features.joined_columns`. The numbers of tags of events are not in a table: no join."""
    histories = {(b.candidate, b.sequence): b.history for b in features.behaviours.values() if not b.lookup}
    found: dict[str, tuple[str, str, str]] = {}
    for name, behaviour in features.behaviours.items():
        if behaviour.lookup:
            of, source = features.lookups[behaviour.lookup].of, behaviour.column or name
            found[behaviour.candidate] = (behaviour.lookup, source, of)
            found[behaviour.history] = (behaviour.lookup, source, histories[of, behaviour.sequence])
    for name, _, sequence, feature in features.placed:
        if feature.lookup:
            of = features.lookups[feature.lookup].of
            ids = histories[of, sequence] if sequence else of
            found[name] = (feature.lookup, feature.column or name, ids)
            if isinstance(feature, Tags) and feature.weights:
                found[feature.weights] = (feature.lookup, feature.weights, ids)
    return [Join(column, *found[column.name]) for column in features.joined_columns if column.name in found]
