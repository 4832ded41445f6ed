"""The feature definition: names, roles, types and vocabularies of the features that a model reads.

It is written once, in the configuration. The schema, the Transform code, the model's inputs, the serving signatures and the slices all
follow from it, so that adding a feature is one edit:

    [features.user.interests]     # a user feature
    kind = "tags"
    dtype = "bytes"

    [features.candidate.price]    # the item's own field, without a history
    kind = "numeric"
    dtype = "float"

    [features.events.clicks.historical_prices]  # a field of each event of the sequence `clicks`
    kind = "numeric"
    dtype = "float"

    [features.behaviours.cart]    # another behaviour sequence, with the items' vocabulary
    candidate = "candidate_item_id"
    history = "cart_item_ids"
    vocabulary = "item"
    sequence = "cart"
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from pydantic import Field, model_validator

from din_trainer.feature_checks import LONG_HISTORY as LONG_HISTORY
from din_trainer.feature_checks import check_features
from din_trainer.feature_parts import Behaviour, Lookup, Position
from din_trainer.frozen import Frozen
from din_trainer.kinds import Bucketized, Categorical, Cross, DType, Feature, Hashed, Numeric, Tags, TimeGap, Vector, Vocabulary

LABEL = "label"
USER_ID = "user_id"
TIMESTAMP = "timestamp"
REQUEST_ID = "request_id"
HISTORICAL_TIMESTAMPS = "historical_timestamps"
EVENT_COUNTS = "events of the long history"  # after Transform: how many events each impression has, if they are not padded
TIME_GAPS = "historical_time_gaps"  # after Transform: the time from each event of the first sequence to the impression
SAMPLE_WEIGHT = "sample_weight"  # after Transform: the weight of the impression in the loss

EXAMPLES = "examples"  # the input of the signatures that read tf.Examples
LONGEST_HISTORY = 100_000  # events

PADDING_ID = 0  # after Transform: no event, no tag. Vocabulary ids begin at 1; out-of-vocabulary ids come after them.

Role = Literal["user", "candidate", "behaviour", "context"]
Presence = Literal["required", "optional", "sequence"]


class Column(NamedTuple):
    """A raw feature.

    Attributes:
        name: Its name in the data.
        dtype: The type of its values.
        role: Whose it is. A behaviour has a value, or several, for each event; a candidate for each candidate of `rank`.
        presence: `sequence`: a list of events.
        width: How many values each impression, candidate or event has; None for any number.
        is_number: Whether it is a number, so that −1 is a value.
    """

    name: str
    dtype: DType
    role: Role
    presence: Presence
    width: int | None = 1
    is_number: bool = False


class Placed(NamedTuple):
    """A feature and where it belongs.

    Attributes:
        name: Its name.
        role: Whose it is: `behaviour` for a field of events.
        sequence: The sequence of these events; otherwise empty.
        feature: Its definition.
    """

    name: str
    role: Role
    sequence: str
    feature: Any


class Table(NamedTuple):
    """An embedding table.

    Attributes:
        dim: D.
        rows: Its rows; None for those of its vocabulary.
        trainable: Whether training changes it.
    """

    dim: int
    rows: int | None
    trainable: bool


def _default_behaviours() -> dict[str, Behaviour]:
    return {
        "item": Behaviour(candidate="candidate_item_id", history="historical_item_ids"),
        "category": Behaviour(candidate="candidate_category_id", history="historical_category_ids"),
    }


def _default_user() -> dict[str, Feature]:
    return {USER_ID: Categorical()}


class FeatureConfig(Frozen):
    """All features of a model.

    Attributes:
        history_length: L, the number of most recent events that are kept of each sequence.
        long_history_length: How many most recent events of the first sequence `model.long_history` searches; None if it is off.
        time_gap: Short for a field `historical_timestamps` of kind `time_gap` in the first sequence.
        weight: Raw feature with the weight of each impression in the loss; by default there is none. Only training reads it.
        labels: What the model predicts. The first is in the column `label`, whatever its name here; others are columns of 0 and 1.
        behaviours: Behaviours by name, the items first.
        user: Features of the user, by raw feature name.
        context: Features of the impression's context, by raw feature name.
        candidate: Features of the candidate that have no history, by raw feature name.
        events: Further fields of the events of each sequence, by sequence and raw feature name.
        position: Positions of the candidate, by raw feature name. Only training reads them.
        lookups: Tables of attributes, by name.
    """

    history_length: int = Field(10, ge=1, le=LONGEST_HISTORY)
    long_history_length: int | None = Field(
        None, ge=2, le=LONGEST_HISTORY, description="Most recent events of the first sequence that `model.long_history` searches."
    )
    time_gap: bool = False
    weight: str = ""
    labels: tuple[str, ...] = Field((LABEL,), min_length=1, max_length=20)
    behaviours: dict[str, Behaviour] = Field(default_factory=_default_behaviours, min_length=1)
    user: dict[str, Feature] = Field(default_factory=_default_user)
    context: dict[str, Feature] = Field(default_factory=dict)
    candidate: dict[str, Feature] = Field(default_factory=dict)
    events: dict[str, dict[str, Feature]] = Field(default_factory=dict)
    position: dict[str, Position] = Field(default_factory=dict)
    lookups: dict[str, Lookup] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "FeatureConfig":
        check_features(self)
        return self

    @property
    def side(self) -> dict[str, Any]:
        """User features, then context features, that the model reads."""
        return {name: feature for name, feature in {**self.user, **self.context}.items() if is_read(feature)}

    @property
    def own(self) -> dict[str, Any]:
        """The candidate's features without a history that the model reads."""
        return {name: feature for name, feature in self.candidate.items() if is_read(feature)}

    @property
    def event_fields(self) -> dict[str, dict[str, Any]]:
        """The further fields of the events of each sequence that has any, the time gap of `time_gap` first."""
        result = {sequence: dict(fields) for sequence, fields in self.events.items() if fields}
        if self.time_gap:
            first = next(iter(self.sequences))
            result[first] = {HISTORICAL_TIMESTAMPS: TimeGap(kind="time_gap"), **result.get(first, {})}
        return result

    @property
    def placed(self) -> list[Placed]:
        """All features but behaviours and positions, with those that the model does not read."""
        result = [Placed(name, "user", "", feature) for name, feature in self.user.items()]
        result += [Placed(name, "candidate", "", feature) for name, feature in self.candidate.items()]
        result += [Placed(name, "behaviour", s, feature) for s, fields in self.event_fields.items() for name, feature in fields.items()]
        return result + [Placed(name, "context", "", feature) for name, feature in self.context.items()]

    @property
    def has_time_gaps(self) -> bool:
        """Whether the model reads how long ago events were."""
        return any(isinstance(placed.feature, TimeGap) for placed in self.placed)

    @property
    def computed_names(self) -> set[str]:
        """The names of what Transform adds."""
        return {SAMPLE_WEIGHT, TIME_GAPS, *(gap_name(placed.name) for placed in self.placed if isinstance(placed.feature, TimeGap))}

    @property
    def columns(self) -> list[Column]:
        """The raw features that the served model asks for, in the order of its inputs."""
        return self._columns(lambda feature: is_read(feature) and not feature.lookup)

    @property
    def joined_columns(self) -> list[Column]:
        """The raw features that tables of `lookups` have, and the data has not. A table may not have an id, so none is required."""
        asked = {column.name for column in self.columns}
        joined = [column for column in self._columns(is_read) if column.name not in asked]
        return [column._replace(presence="optional") if column.presence == "required" else column for column in joined]

    @property
    def kept_columns(self) -> list[Column]:
        """Raw features that the data has, but no request: features that are not embedded, positions, the weight and further labels.

        The timestamp is among them if a table has rows of different times.
        """
        result = [c for p in self.placed if not is_read(p.feature) for c in _columns_of(p)]
        result += [Column(name, "int64", "candidate", "optional", is_number=True) for name in self.position]
        if not self.has_time_gaps and any(lookup.valid_from for lookup in self.lookups.values()):
            result.append(Column(TIMESTAMP, "int64", "context", "required"))
        result += [Column(self.weight, "float", "context", "required", is_number=True)] * bool(self.weight)
        return result + [Column(name, "int64", "context", "required") for name in self.labels[1:]]

    def _columns(self, wanted: Callable[[Any], bool]) -> list[Column]:
        """The raw features whose definition is wanted."""
        placed = {role: [c for p in self.placed if p.role == role and wanted(p.feature) for c in _columns_of(p)] for role in _ROLES}
        behaviours = {name: behaviour for name, behaviour in self.behaviours.items() if wanted(behaviour)}
        candidates = {b.candidate: self.vocabulary_of(name).dtype for name, b in behaviours.items()}
        result = [*placed["user"], *(Column(name, dtype, "candidate", "required") for name, dtype in candidates.items())]
        result += placed["candidate"]
        result += [Column(b.history, self.vocabulary_of(name).dtype, "behaviour", "sequence") for name, b in behaviours.items()]
        result += placed["behaviour"]
        if self.has_time_gaps:
            result.append(Column(TIMESTAMP, "int64", "context", "required"))
        return result + placed["context"]

    @property
    def sequences(self) -> dict[str, dict[str, Behaviour]]:
        """The behaviours of each sequence, by name. The first behaviour of a sequence decides which of its events are real."""
        result: dict[str, dict[str, Behaviour]] = {}
        for name, behaviour in self.behaviours.items():
            result.setdefault(behaviour.sequence, {})[name] = behaviour
        return result

    @property
    def searched(self) -> str:
        """The sequence with a long history: the first one; empty if there is none."""
        return next(iter(self.sequences)) if self.long_history_length else ""

    def length_of(self, sequence: str) -> int:
        """How many most recent events of a sequence are read."""
        return self.long_history_length if self.long_history_length and sequence == self.searched else self.history_length

    @property
    def longest_history(self) -> int:
        """How many most recent events are read of the sequence of which most are read."""
        return self.long_history_length or self.history_length

    @property
    def aligned_columns(self) -> dict[str, list[Column]]:
        """The raw features that the data has of each sequence, event by event, the one that decides which events are real first."""
        by_name = {column.name: column for column in self.columns}
        names = {s: [b.history for b in behaviours.values()] for s, behaviours in self.sequences.items()}
        for placed in (p for p in self.placed if p.role == "behaviour"):
            names[placed.sequence] += [column.name for column in _columns_of(placed)]
        return {sequence: [by_name[name] for name in dict.fromkeys(found) if name in by_name] for sequence, found in names.items()}

    @property
    def tables(self) -> dict[str, Table]:
        """Every embedding table by name: of vocabularies, then of kinds that need none, then of positions."""
        result = {name: Table(v.dim, None, v.trainable) for name, v in self.vocabularies.items()}
        fixed = {p.name: p.feature for p in self.placed if isinstance(p.feature, Bucketized | Hashed | Cross) and p.feature.rows}
        return result | {name: Table(feature.dim, feature.rows, True) for name, feature in {**fixed, **self.position}.items()}

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """Every vocabulary by name: of each behaviour that does not use another's, and of each feature that has one."""
        own: dict[str, Vocabulary] = {name: behaviour for name, behaviour in self.behaviours.items() if not behaviour.vocabulary}
        return {**own, **{p.name: p.feature for p in self.placed if has_vocabulary(p.feature)}}

    @property
    def table_by_feature(self) -> dict[str, str]:
        """The embedding table of each feature that has one, by the feature's raw name."""
        result = {p.name: p.name for p in self.placed if p.name in self.tables}
        for name, behaviour in self.behaviours.items():
            result |= dict.fromkeys((behaviour.candidate, behaviour.history), behaviour.vocabulary or name)
        return result | {name: name for name in self.position}

    @property
    def vocabulary_by_feature(self) -> dict[str, str]:
        """The vocabulary of each feature that has one, by raw name."""
        return {feature: table for feature, table in self.table_by_feature.items() if table in self.vocabularies}

    @property
    def files(self) -> dict[str, str]:
        """The files that the model is made of, by the key that names them: initial embeddings, and tables of attributes."""
        embeddings = {f"{name}.embeddings": v.embeddings for name, v in self.vocabularies.items() if v.embeddings}
        return embeddings | {f"lookups.{name}.table": lookup.table for name, lookup in self.lookups.items()}

    def vocabulary_of(self, behaviour: str) -> Vocabulary:
        """The vocabulary that a behaviour uses: its own, or that of another behaviour."""
        return self.behaviours[self.behaviours[behaviour].vocabulary or behaviour]


_ROLES: tuple[Role, ...] = ("user", "candidate", "behaviour", "context")


def gap_name(timestamps: str) -> str:
    """The name of a time gap after Transform, from the raw name of the events' times."""
    return TIME_GAPS if timestamps == HISTORICAL_TIMESTAMPS else f"{timestamps}_gap"


def is_read(feature: Any) -> bool:
    """Whether the model reads a feature; one that is not embedded is for metrics and slices alone."""
    return not (isinstance(feature, Categorical) and not feature.embed)


def has_vocabulary(feature: Any) -> bool:
    """Whether a feature's values are counted, to become rows of its own table."""
    if isinstance(feature, Cross):
        return not feature.buckets
    return isinstance(feature, Tags) or (isinstance(feature, Categorical) and feature.embed)


def _columns_of(placed: Placed) -> list[Column]:
    """The raw features of a feature: none for a cross, with the weights and lengths of tags."""
    name, role, sequence, feature = placed
    presence: Presence = "sequence" if sequence else "required" if name == USER_ID else "optional"
    if isinstance(feature, Cross):
        return []
    width = None if isinstance(feature, Tags) else feature.size if isinstance(feature, Vector) else 1
    is_number = isinstance(feature, Numeric | Bucketized | Vector)
    result = [Column(name, feature.dtype, role, presence, width, is_number)]
    if isinstance(feature, Tags) and feature.weights:
        result.append(Column(feature.weights, "float", role, presence, None, True))
    if isinstance(feature, Tags) and feature.lengths:
        result.append(Column(feature.lengths, "int64", role, presence, 1, True))
    return result
