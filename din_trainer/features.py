"""What the model knows about an impression: names, roles, types and vocabularies of the features.

This definition is written once, in the configuration. The schema, the Transform code, the model's inputs, the serving signatures and the
slices all follow from it, so that adding a feature is one edit:

    [features.user.age_group]     # a user feature
    dtype = "bytes"

    [features.context.hour]       # a context feature
    kind = "numeric"
"""

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

LABEL = "label"
USER_ID = "user_id"
TIMESTAMP = "timestamp"
REQUEST_ID = "request_id"
HISTORICAL_TIMESTAMPS = "historical_timestamps"

PADDING_ID = 0  # after Transform: no event. Vocabulary ids begin at 1; out-of-vocabulary ids follow them.

DType = Literal["int64", "bytes", "float"]
Role = Literal["user", "candidate", "behaviour", "context"]


class Frozen(BaseModel):
    """A configuration that refuses unknown keys and does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Vocabulary(Frozen):
    """How the values of a categorical feature become embedding rows."""

    dtype: Literal["int64", "bytes"] = "int64"
    dim: int = Field(16, ge=1, description="Embedding size.")
    min_count: int = Field(1, ge=1, description="Values seen less often in train/ are out of vocabulary.")
    oov_buckets: int = Field(1, ge=1, description="Embedding rows shared by all out-of-vocabulary values.")


class Behaviour(Vocabulary):
    """A behaviour sequence and the candidate field that activates it; both share one vocabulary and one embedding table."""

    candidate: str
    history: str


class SideFeature(Vocabulary):
    """A user or context feature. A missing value is out of vocabulary (categorical) or the mean (numeric)."""

    kind: Literal["categorical", "numeric"] = "categorical"
    dtype: DType = "int64"  # type: ignore[assignment]  # wider than a vocabulary's: numeric features may be float

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
        history_length: L, the number of most recent events kept.
        behaviours: Behaviour sequences by vocabulary name, aligned with each other event by event; the first one is the items.
        user: Features of the user, by raw feature name.
        context: Features of the impression's context, by raw feature name.
    """

    history_length: int = Field(10, ge=1)
    behaviours: dict[str, Behaviour] = Field(default_factory=_default_behaviours, min_length=1)
    user: dict[str, SideFeature] = Field(default_factory=lambda: {USER_ID: SideFeature()})
    context: dict[str, SideFeature] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "FeatureConfig":
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1} | ({LABEL, ""} & set(names)))
        if twice:
            raise ValueError(f"feature {', '.join(map(repr, twice))} is declared twice or reserved")
        shared = sorted(set(self.behaviours) & set(self.side))
        if shared:
            raise ValueError(f"{shared[0]!r} names a behaviour and another feature: vocabularies need names of their own")
        return self

    @property
    def side(self) -> dict[str, SideFeature]:
        """User features, then context features."""
        return {**self.user, **self.context}

    @property
    def columns(self) -> list[Column]:
        """Raw features in the order of the model's inputs."""
        result = [Column(name, f.dtype, "user", "required" if name == USER_ID else "optional") for name, f in self.user.items()]
        for behaviour in self.behaviours.values():
            result.append(Column(behaviour.candidate, behaviour.dtype, "candidate", "required"))
            result.append(Column(behaviour.history, behaviour.dtype, "behaviour", "sequence"))
        return result + [Column(name, f.dtype, "context", "optional") for name, f in self.context.items()]

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """Every vocabulary by name: one a behaviour, one a categorical side feature."""
        side = {name: feature for name, feature in self.side.items() if feature.kind == "categorical"}
        return {**self.behaviours, **side}
