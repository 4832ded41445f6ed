"""The feature definition: names, roles, types and vocabularies of the features that a model reads.

It is written once, in the configuration. The schema, the Transform code, the model's inputs, the serving signatures and the slices all
follow from it, so that adding a feature is one edit:

    [features.user.age_group]     # a user feature
    dtype = "bytes"

    [features.context.hour]       # a context feature
    kind = "numeric"

    [features.behaviours.cart]    # another behaviour sequence, with the items' vocabulary
    candidate = "candidate_item_id"
    history = "cart_item_ids"
    vocabulary = "item"
    sequence = "cart"
"""

import re
from keyword import iskeyword
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

LABEL = "label"
USER_ID = "user_id"
TIMESTAMP = "timestamp"
REQUEST_ID = "request_id"
HISTORICAL_TIMESTAMPS = "historical_timestamps"
TIME_GAPS = "historical_time_gaps"  # after Transform: the time from each event to the impression
SAMPLE_WEIGHT = "sample_weight"  # after Transform: the weight of the impression in the loss

EXAMPLES = "examples"  # the input of the signatures that read tf.Examples
LONGEST_HISTORY = 100_000  # events

PADDING_ID = 0  # after Transform: no event. Vocabulary ids begin at 1; out-of-vocabulary ids come after them.

_NAME = "[A-Za-z][A-Za-z0-9_]{0,99}"  # TensorFlow changes other names of a signature's inputs

DType = Literal["int64", "bytes", "float"]
Role = Literal["user", "candidate", "behaviour", "context"]

# Before Transform: what stands for "no value" in a raw feature. A numeric int64 feature has no such value, since -1 is a number.
MISSING: dict[DType, Any] = {"int64": -1, "bytes": b"", "float": float("nan")}


class Frozen(BaseModel):
    """A configuration that refuses unknown keys, infinite numbers and truth values as numbers, and cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_truth_values(cls, value: Any, info: ValidationInfo) -> Any:
        """Without this, `epochs = true` would mean one epoch."""
        values = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(part, bool) for part in values) and not _takes_truth_values(cls.model_fields[info.field_name or ""].annotation):
            raise ValueError("it must not be true or false")
        return value


def _takes_truth_values(annotation: Any) -> bool:
    """Whether a type is bool, or has it among its parts."""
    return annotation is bool or any(map(_takes_truth_values, get_args(annotation)))


class Vocabulary(Frozen):
    """How the values of a categorical feature become embedding rows."""

    dtype: Literal["int64", "bytes"] = "int64"
    dim: int = Field(16, ge=1, le=4096, description="Embedding size.")
    min_count: int = Field(1, ge=1, le=10**9, description="Values seen less often in train/ are out of vocabulary.")
    oov_buckets: int = Field(1, ge=1, le=10**7, description="Embedding rows shared by all out-of-vocabulary values.")
    embeddings: str = Field("", description="An .npz file with `ids` and `vectors`: initial embeddings by raw id.")
    trainable: bool = Field(True, description="Whether training changes the embeddings.")

    @model_validator(mode="after")
    def _check_embeddings(self) -> "Vocabulary":
        if not self.trainable and not self.embeddings:
            raise ValueError("trainable = false needs embeddings to keep: name an .npz file")
        return self


class Behaviour(Vocabulary):
    """A history and the candidate field that activates it. Both share one vocabulary and one embedding table.

    Behaviours of one `sequence` are aligned event by event and activated together, by the concatenation of their candidate fields (the
    paper's figure 2). Each sequence has its own attention unit.
    """

    candidate: str
    history: str
    sequence: str = Field("clicks", pattern="^[A-Za-z0-9_-]{1,100}$", description="Behaviours with the same name form one sequence.")
    vocabulary: str = Field("", description="The name of another behaviour whose vocabulary and embedding table are used.")

    @model_validator(mode="after")
    def _check_vocabulary(self) -> "Behaviour":
        own = [name for name, field in Vocabulary.model_fields.items() if getattr(self, name) != field.default]
        if self.vocabulary and own:
            raise ValueError(f"{own[0]} belongs to the vocabulary {self.vocabulary!r}: set it there")
        return self


class SideFeature(Vocabulary):
    """A user or context feature. A missing value counts as out of vocabulary (categorical) or as the mean (numeric)."""

    kind: Literal["categorical", "numeric"] = "categorical"
    dtype: DType = "int64"  # type: ignore[assignment]  # a numeric feature may be float, unlike a vocabulary

    @model_validator(mode="after")
    def _check(self) -> "SideFeature":
        if self.kind == "categorical" and self.dtype == "float":
            raise ValueError("a float feature has kind = 'numeric'")
        if self.kind == "numeric" and self.dtype == "bytes":
            raise ValueError("a numeric feature has dtype 'int64' or 'float'")
        return self


class Column(NamedTuple):
    """A raw feature that the model reads."""

    name: str
    dtype: DType
    role: Role
    presence: Literal["required", "optional", "sequence"]


def _default_behaviours() -> dict[str, Behaviour]:
    return {
        "item": Behaviour(candidate="candidate_item_id", history="historical_item_ids"),
        "category": Behaviour(candidate="candidate_category_id", history="historical_category_ids"),
    }


class FeatureConfig(Frozen):
    """All features of a model.

    Attributes:
        history_length: L, the number of most recent events that are kept of each sequence.
        time_gap: Whether the attention unit of the first sequence reads how long ago each event was, from `historical_timestamps` and
            `timestamp`.
        weight: Raw feature with the weight of each impression in the loss; by default there is none. Only training reads it.
        behaviours: Behaviours by name, the items first.
        user: Features of the user, by raw feature name.
        context: Features of the impression's context, by raw feature name.
    """

    history_length: int = Field(10, ge=1, le=LONGEST_HISTORY)
    time_gap: bool = False
    weight: str = ""
    behaviours: dict[str, Behaviour] = Field(default_factory=_default_behaviours, min_length=1)
    user: dict[str, SideFeature] = Field(default_factory=lambda: {USER_ID: SideFeature()})
    context: dict[str, SideFeature] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "FeatureConfig":
        for name, behaviour in self.behaviours.items():
            shared = self.behaviours.get(behaviour.vocabulary or name)
            if shared is None or shared.vocabulary:
                raise ValueError(f"behaviours.{name}.vocabulary names {behaviour.vocabulary!r}, which has no vocabulary of its own")
            twin = next(other for other, b in self.behaviours.items() if b.candidate == behaviour.candidate)
            if self.vocabulary_of(twin) is not self.vocabulary_of(name):
                raise ValueError(f"behaviours {twin!r} and {name!r} share {behaviour.candidate!r}, so give one the other's vocabulary")
        names = [column.name for column in self.columns] + [self.weight] * bool(self.weight)
        for name in names:
            if not re.fullmatch(_NAME, name) or name == "self" or iskeyword(name):
                raise ValueError(
                    f"feature {name!r} cannot be an input of a signature: use up to 100 letters, digits and _, a letter first, "
                    "and no keyword of Python"
                )
        folded = [name.lower() for name in names]
        same_but_case = sorted({name for name in names if folded.count(name.lower()) > 1 and names.count(name) == 1})
        if same_but_case:
            raise ValueError(
                f"features {', '.join(map(repr, same_but_case))} differ only in case, which inputs of a signature must not: rename one"
            )
        reserved = ({LABEL, EXAMPLES, ""} & set(names)) | ({SAMPLE_WEIGHT, TIME_GAPS} & {column.name for column in self.columns})
        twice = sorted({name for name in names if names.count(name) > 1} | reserved)
        if twice:
            raise ValueError(f"feature {', '.join(map(repr, twice))} is declared twice or reserved")
        both = sorted(set(self.behaviours) & set(self.side))
        if both:
            raise ValueError(f"{both[0]!r} names a behaviour and another feature: vocabularies need names of their own")
        return self

    @property
    def side(self) -> dict[str, SideFeature]:
        """User features, then context features."""
        return {**self.user, **self.context}

    @property
    def columns(self) -> list[Column]:
        """Raw features in the order of the model's inputs."""
        result = [Column(name, f.dtype, "user", "required" if name == USER_ID else "optional") for name, f in self.user.items()]
        candidates = {b.candidate: (b.vocabulary or name) for name, b in self.behaviours.items()}
        result += [Column(name, self.behaviours[vocabulary].dtype, "candidate", "required") for name, vocabulary in candidates.items()]
        for name, behaviour in self.behaviours.items():
            result.append(Column(behaviour.history, self.vocabulary_of(name).dtype, "behaviour", "sequence"))
        if self.time_gap:
            result.append(Column(HISTORICAL_TIMESTAMPS, "int64", "behaviour", "sequence"))
            result.append(Column(TIMESTAMP, "int64", "context", "required"))
        return result + [Column(name, f.dtype, "context", "optional") for name, f in self.context.items()]

    @property
    def sequences(self) -> dict[str, dict[str, Behaviour]]:
        """The behaviours of each sequence, by name. The first behaviour of a sequence decides which of its events are real."""
        result: dict[str, dict[str, Behaviour]] = {}
        for name, behaviour in self.behaviours.items():
            result.setdefault(behaviour.sequence, {})[name] = behaviour
        return result

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """Every vocabulary by name: one for each behaviour that does not use another's, one for each categorical side feature."""
        own = {name: behaviour for name, behaviour in self.behaviours.items() if not behaviour.vocabulary}
        return {**own, **{name: feature for name, feature in self.side.items() if feature.kind == "categorical"}}

    @property
    def vocabulary_by_feature(self) -> dict[str, str]:
        """The vocabulary of each categorical feature, by raw name."""
        result = {name: name for name, feature in self.side.items() if feature.kind == "categorical"}
        for name, behaviour in self.behaviours.items():
            result |= dict.fromkeys((behaviour.candidate, behaviour.history), behaviour.vocabulary or name)
        return result

    def vocabulary_of(self, behaviour: str) -> Vocabulary:
        """The vocabulary that a behaviour uses: its own, or that of another behaviour."""
        return self.behaviours[self.behaviours[behaviour].vocabulary or behaviour]
