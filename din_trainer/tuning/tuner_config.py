"""The configuration of the search for better settings. Every default is written here and nowhere else."""

from typing import Any, Literal

from pydantic import Field, field_validator

from din_trainer.config import DINConfig
from din_trainer.frozen import Frozen
from din_trainer.tuning.search_space import DEFAULT_SPACE, Choices, Range, Space, check_space, parse_space

TUNER_KEY = "tuner"  # in TFX's custom_config, to Tuner: a TunerConfig


class TunerConfig(Frozen):
    """How better settings of the model and its training are searched for, before the training."""

    trials: int = Field(0, ge=0, le=10_000, description="How many settings are tried, the configuration's own first; 0: none.")
    parallel: int = Field(1, ge=1, le=64, description="Trials that are trained at the same time, each by a process of its own.")
    algorithm: Literal["random", "bayesian"] = Field("random", description="bayesian: later trials follow from the AUC of earlier ones.")
    epochs: int | None = Field(None, ge=1, le=10_000, description="The most epochs of a trial; by default those of the training.")
    seed: int = Field(0, ge=0, lt=2**32 - 1, description="Seed of the settings that are drawn.")
    space: dict[str, Range | Choices] = Field(
        default_factory=lambda: dict(DEFAULT_SPACE), description="A range or a list of values for each key that is searched."
    )

    @field_validator("space", mode="before")
    @classmethod
    def _parse_space(cls, value: Any) -> Space:
        return parse_space(value)


def check_tuner(settings: TunerConfig, config: DINConfig) -> None:
    """Checks that a search fits the configuration whose keys it searches.

    Raises:
        ValueError: It does not. The message is one clause.
    """
    trials = settings.trials
    if trials or "space" in settings.model_fields_set:
        check_space(settings.space, config)
    if trials and config.training.workers > 1:
        raise ValueError(
            f"tuner.trials is {trials}, but one process trains a trial: set training.workers to 1, and use the cores by tuner.parallel"
        )
    if trials and config.training.warm_start != "none":
        raise ValueError(
            f"tuner.trials is {trials}, but a warm start keeps the settings of its start model: set tuner.trials to 0, "
            "and put what an earlier search has found into the configuration"
        )
