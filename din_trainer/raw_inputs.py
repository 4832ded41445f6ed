"""What must be known of the raw features of an impression beside their columns: what their values mean, and which lists go together."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from din_trainer.features import HISTORICAL_TIMESTAMPS, LABEL, TIMESTAMP, Column, FeatureConfig
from din_trainer.kinds import MISSING, Cross, Hashed, Tags, TimeGap

Use = Literal["value", "event", "time", "weight", "hash", "position"]

EVENTS_OF, TAGS_OF, CANDIDATES = "events of ", "tags of ", "candidates"  # names of the dimensions of a signature's inputs

_NUMPY: dict[str, Any] = {"int64": np.int64, "float": np.float32, "bytes": object}


class Input(NamedTuple):
    """A raw feature as an input of `predict` and `rank`, and as an impression has it.

    Attributes:
        column: The feature.
        use: What its values are. `event`: a history, where each value is an event, so that none is missing; `time`: unix seconds;
            `weight`: of tags; `hash`: ids that are in no vocabulary, so that any text is legal; `position`: −1 is missing; `value`: any
            other.
        sequence: The sequence whose events it belongs to; otherwise empty.
        lengths: For tags of events, the column of the data that says how many tags each event has.
        beside: For weights, the tags that they belong to.
        most: How many tags, or weights of tags, the model reads.
    """

    column: Column
    use: Use = "value"
    sequence: str = ""
    lengths: str = ""
    beside: str = ""
    most: int = 1

    @property
    def numpy(self) -> Any:
        """The type of its tensors: float64 for a number of type int64, since NaN stands for a missing one."""
        return np.float64 if self.column.is_number and self.column.dtype == "int64" else _NUMPY[self.column.dtype]

    @property
    def lowest(self) -> int:
        """The lowest value of an int64 feature that is no number: 0, or −1 if that stands for a missing one."""
        return 0 if self.column.name in (TIMESTAMP, HISTORICAL_TIMESTAMPS) else -1

    @property
    def missing(self) -> Any:
        """What stands for no value, and for padding, in tensors."""
        return 0.0 if self.use == "weight" else MISSING["float" if self.column.is_number else self.column.dtype]


Features = FeatureConfig | Sequence[Input]  # of a model: from its configuration, or from the signatures of a served model


def inputs_of(features: Features) -> Sequence[Input]:
    """Returns what a model reads, in the order of its columns. Lengths of tags are in the data alone, so they are none of them."""
    return _described(features, features.columns) if isinstance(features, FeatureConfig) else features


def kept_inputs(features: FeatureConfig) -> list[Input]:
    """Returns what the data has and no request: features that are not embedded, positions, the weight and further labels."""
    return _described(features, features.kept_columns)


def data_inputs(features: FeatureConfig) -> list[Input]:
    """Returns what the data has: what requests have, what they do not have, and the label."""
    return [*inputs_of(features), *kept_inputs(features), Input(Column(LABEL, "int64", "context", "required"))]


def _described(features: FeatureConfig, columns: Sequence[Column]) -> list[Input]:
    sequences = {behaviour.history: behaviour.sequence for behaviour in features.behaviours.values()}
    uses: dict[str, Use] = dict.fromkeys(sequences, "event")
    tags, lengths = dict[str, tuple[str, str, int]](), set()
    uses |= {TIMESTAMP: "time", **dict.fromkeys(features.position, "position")}
    in_vocabularies = {part for p in features.placed if isinstance(p.feature, Cross) and not p.feature.buckets for part in p.feature.of}
    for name, _, sequence, feature in features.placed:
        sequences[name] = sequence
        if isinstance(feature, TimeGap):
            uses[name] = "time"
        if isinstance(feature, Hashed) and name not in in_vocabularies:
            uses[name] = "hash"
        if isinstance(feature, Tags):
            tags[name] = (feature.lengths, "", feature.most)
            lengths.add(feature.lengths)
            if feature.weights:
                sequences[feature.weights], uses[feature.weights] = sequence, "weight"
                tags[feature.weights] = (feature.lengths, name, feature.most)
    return [
        Input(column, uses.get(column.name, "value"), sequences.get(column.name, ""), *tags.get(column.name, ()))
        for column in columns
        if column.name not in lengths
    ]


def dimension_names(read: Input, rank: bool = False) -> list[str]:
    """Returns the names of the dimensions of an input of `predict` or `rank`, by which a client knows histories from tags.

    The first dimension, of the impressions, is named by the use of the values. That of a vector has no name: its size is known.
    """
    names: list[str] = [read.use]
    if rank and read.column.role == "candidate":
        names.append(CANDIDATES)
    if read.column.presence == "sequence":
        names.append(f"{EVENTS_OF}{read.sequence}")
    if read.column.width is None:
        names.append(f"{TAGS_OF}{read.beside or read.column.name}")
    return names if read.column.width in (None, 1) else [*names, ""]


def groups_of(inputs: Sequence[Input]) -> list[list[str]]:
    """Returns the names of the lists of each sequence: each of them has an element for each event."""
    groups: dict[str, list[str]] = {}
    for read in inputs:
        if read.sequence:
            groups.setdefault(read.sequence, []).append(read.column.name)
    return list(groups.values())


def known_names(features: Features) -> set[str]:
    """Returns the names of features that a data set has, but no request; none if only the signatures of the model are known."""
    if not isinstance(features, FeatureConfig):
        return set()
    lengths = {read.lengths for read in inputs_of(features)} - {""}
    return lengths | {read.column.name for read in kept_inputs(features)}
