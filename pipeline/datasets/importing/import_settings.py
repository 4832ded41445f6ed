"""The settings of an import: how it makes impressions of interactions, and how it splits them."""

from typing import Literal

from pydantic import Field, model_validator

from components.base.errors import InputError
from din_trainer.features import LONGEST_HISTORY, Frozen
from pipeline.datasets.sources.interactions import HISTORICAL, SPLIT, TIMESTAMP, Source

SplitKind = Literal["last", "last-items", "time", "user", "given"]
NegativeKind = Literal["observed", "uniform", "popularity"]


class ImportSettings(Frozen):
    """The protocol of an import; `None` leaves the choice to the source."""

    split: SplitKind | None = Field(
        None, description="What eval/ holds. None: given if the source is split, else last for observed negatives, else last-items."
    )
    eval_share: float = Field(0.2, gt=0, lt=1, description="For last, time and user.")
    validation_share: float = Field(0.1, gt=0, lt=1, description="For last, time and user; for given if the source has no validation.")
    last: int = Field(1, ge=1, le=1000, description="For last-items: items of each user in eval/, and as many in validation/.")
    negatives: NegativeKind | None = Field(None, description="None: observed if the source has any, else uniform.")
    negatives_per_positive: int = Field(1, ge=1, le=1000, description="For sampled negatives.")
    history_length: int = Field(50, ge=1, le=LONGEST_HISTORY, description="How many of the most recent clicks are kept.")
    seed: int = Field(0, ge=0, lt=2**32, description="For sampled negatives, and for the choice of users.")
    skip_broken: bool = Field(False, description="Drop and count broken lines; if not, the first one ends the import.")

    @model_validator(mode="after")
    def _check(self) -> "ImportSettings":
        if self.eval_share + self.validation_share >= 1:
            raise ValueError(f"eval_share {self.eval_share} and validation_share {self.validation_share} leave nothing to train on")
        return self

    @property
    def sampled(self) -> bool:
        """Whether negatives are drawn."""
        return self.negatives in ("uniform", "popularity")


def resolve_settings(source: Source, settings: ImportSettings) -> ImportSettings:
    """Returns the settings with negatives and split chosen, where they leave the choice to the source.

    Raises:
        InputError: The settings ask for something that the source does not have.
    """
    names = source.schema.names
    given = settings.model_fields_set
    negatives = settings.negatives or ("observed" if source.has_negatives else "uniform")
    split = settings.split or ("given" if SPLIT in names else "last" if negatives == "observed" else "last-items")
    if negatives == "observed" and not source.has_negatives:
        raise InputError(f"{source.name} has only clicks: use --negatives uniform or popularity.")
    if split == "time" and TIMESTAMP not in names:
        raise InputError(f"{source.name} has no timestamps to split by: use --split last, last-items or user.")
    if split == "given" and SPLIT not in names:
        raise InputError(f"{source.name} is not split already: use --split last, last-items, time or user.")
    if "history_length" in given and any(name.startswith(HISTORICAL) for name in names):
        raise InputError(f"{source.name} has histories of its own, which are taken as they are: leave out --history.")
    has_effect = {
        "negatives_per_positive": negatives != "observed",
        "last": split == "last-items",
        "eval_share": split in ("last", "time", "user"),
        "validation_share": split != "last-items",
    }
    for name in (name for name, used in has_effect.items() if name in given and not used):
        raise InputError(f"{name} has no effect with --split {split} and --negatives {negatives}: leave it out, or change them.")
    return settings.model_copy(update={"negatives": negatives, "split": split})
