"""The settings of an import: how it makes impressions of interactions, and how it splits them."""

from typing import Literal

from pydantic import Field, model_validator

from components.base.errors import InputError
from din_trainer.features import LONGEST_HISTORY
from din_trainer.frozen import Frozen
from pipeline.datasets.sources.interactions import CANDIDATE, HISTORICAL, OF_CANDIDATE, SPLIT, TIMESTAMP, Source

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
    spans: Literal["day"] | None = Field(None, description="A folder for each day in UTC, instead of splits.")
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
    negatives: NegativeKind = settings.negatives or ("observed" if source.has_negatives else "uniform")
    if negatives == "observed" and not source.has_negatives:
        raise InputError(f"{source.name} has only clicks: use --negatives uniform or popularity.")
    fields = [field.name for field in source.schema if (field.metadata or {}).items() >= OF_CANDIDATE.items()]
    if negatives != "observed" and (others := [name for name in fields if not name.startswith(CANDIDATE)]):
        advice = f"only fields named {CANDIDATE}… are drawn with an item: use --negatives observed."
        raise InputError(f"{others[0]} is a field of the candidate, but {advice}")
    if "history_length" in given and any(name.startswith(HISTORICAL) for name in names):
        raise InputError(f"{source.name} has histories of its own, which are taken as they are: leave out --history.")
    if settings.spans:
        _check_spans(source, settings, negatives)
        return settings.model_copy(update={"negatives": negatives})
    split = settings.split or ("given" if SPLIT in names else "last" if negatives == "observed" else "last-items")
    if split == "time" and TIMESTAMP not in names:
        raise InputError(f"{source.name} has no timestamps to split by: use --split last, last-items or user.")
    if split == "given" and SPLIT not in names:
        raise InputError(f"{source.name} is not split already: use --split last, last-items, time or user.")
    has_effect = {
        "negatives_per_positive": negatives != "observed",
        "last": split == "last-items",
        "eval_share": split in ("last", "time", "user"),
        "validation_share": split != "last-items",
    }
    for name in (name for name, used in has_effect.items() if name in given and not used):
        raise InputError(f"{name} has no effect with --split {split} and --negatives {negatives}: leave it out, or change them.")
    return settings.model_copy(update={"negatives": negatives, "split": split})


def _check_spans(source: Source, settings: ImportSettings, negatives: NegativeKind) -> None:
    """Checks what does not go with days.

    Raises:
        InputError: The source has no times, or the settings are about splits, look into later days or have no effect.
    """
    if TIMESTAMP not in source.schema.names:
        raise InputError(f"{source.name} has no timestamps to cut days by: leave out --spans.")
    for name in (name for name in ("split", "eval_share", "validation_share", "last") if name in settings.model_fields_set):
        option = f"--{name.replace('_', '-')}"
        raise InputError(f"{option} is about splits, and a data set of days has none: leave it out, or leave out --spans.")
    if negatives == "popularity":
        raise InputError("--negatives popularity counts the clicks of all days, which show an early day what comes later: use uniform.")
    if "negatives_per_positive" in settings.model_fields_set and negatives == "observed":
        raise InputError("--negatives-per-positive has no effect with observed negatives: leave it out, or use --negatives uniform.")
