"""The part of the configuration that bounds how far the training data may be from earlier data, and from requests that were served."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from din_trainer.features import LABEL, TIMESTAMP, Column, FeatureConfig
from din_trainer.frozen import Frozen
from din_trainer.kinds import TimeGap

Action = Literal["warn", "refuse"]


class DistanceConfig(Frozen):
    """The bound of the distance of one feature, in `drift.FEATURE` or `skew.FEATURE`."""

    at_most: float = Field(0.1, ge=0, le=1, description="The largest distance, from 0 (the same distribution) to 1.")
    measure: Literal["auto", "infinity_norm", "jensen_shannon_divergence"] = Field(
        "auto", description="auto: infinity_norm for categories, jensen_shannon_divergence for numbers."
    )
    action: Action = Field("refuse", description="What a larger distance does: `refuse` ends the run before anything is trained.")


class PresenceConfig(Frozen):
    """When a feature counts as collapsed to missing."""

    before: float = Field(0.1, ge=0, le=1, description="Features with a value in at least this share of the other impressions are judged.")
    now: float = Field(0.01, ge=0, le=1, description="They must have a value in at least this share.")
    action: Action = Field("refuse", description="What a collapsed feature does.")

    @model_validator(mode="after")
    def _check(self) -> "PresenceConfig":
        if self.now > self.before:
            raise ValueError(f"now ({self.now:g}) is above before ({self.before:g}), so that data could fail against itself")
        return self


def check_bounds(kind: Literal["drift", "skew"], bounds: Mapping[str, DistanceConfig], features: FeatureConfig) -> None:
    """Checks that the bounds are of features that the data, or a request, has, and that their measures fit.

    Raises:
        ValueError: A feature is not declared, or is a number, whose L-infinity distance would always be 0.
    """
    columns = list(features.columns)
    if kind == "drift":
        columns += [*features.joined_columns, *features.kept_columns, Column(LABEL, "int64", "context", "required")]
    known = {column.name for column in columns}
    times = {placed.name for placed in features.placed if isinstance(placed.feature, TimeGap)}
    numbers = {column.name for column in columns if column.is_number} | {TIMESTAMP, LABEL, *features.labels[1:], *times}
    for name, bound in bounds.items():
        if name not in known:
            where = "declared feature" if kind == "drift" else "feature of a request"
            raise ValueError(f"{kind} names {name!r}, which is no {where}: known are {', '.join(sorted(known))}")
        if bound.measure == "infinity_norm" and name in numbers:
            raise ValueError(f"{kind}.{name}.measure is infinity_norm, which is for categories, but {name} is a number: leave it out")
