"""How an import makes impressions of interactions, and splits them."""

from typing import Literal

from pydantic import Field, model_validator

from din_trainer.features import Frozen

SplitKind = Literal["last", "last-items", "time", "user", "given"]
NegativeKind = Literal["observed", "uniform", "popularity"]


class ImportSettings(Frozen):
    """The protocol of an import; `None` leaves the choice to the source."""

    split: SplitKind | None = Field(None, description="What eval/ holds; last where negatives are observed, else last-items.")
    eval_share: float = Field(0.2, gt=0, lt=1, description="Of last, time and user.")
    validation_share: float = Field(0.1, gt=0, lt=1, description="Of last, time and user; of given where there is none.")
    last: int = Field(1, ge=1, le=1000, description="Items a user in eval/, and as many in validation/, of last-items.")
    negatives: NegativeKind | None = Field(None, description="observed where the source has any, else uniform.")
    negatives_per_positive: int = Field(1, ge=1, le=1000, description="Of sampled ones.")
    history_length: int = Field(50, ge=1, le=100_000, description="Most recent clicks kept.")
    seed: int = Field(0, ge=0, lt=2**32, description="Of sampled negatives, and of the choice of users.")
    skip_broken: bool = Field(False, description="Drop and count broken lines; else the first one ends the import.")

    @model_validator(mode="after")
    def _check(self) -> "ImportSettings":
        if self.eval_share + self.validation_share >= 1:
            raise ValueError(f"eval_share {self.eval_share} and validation_share {self.validation_share} leave nothing to train on")
        return self

    @property
    def sampled(self) -> bool:
        """Whether negatives are drawn."""
        return self.negatives in ("uniform", "popularity")
