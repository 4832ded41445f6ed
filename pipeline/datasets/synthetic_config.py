"""The sizes of a synthetic data set."""

from typing import Literal

from pydantic import Field, model_validator

from din_trainer.features import LONGEST_HISTORY
from din_trainer.frozen import Frozen

LONG = 200  # events; histories up to this length hold nothing but the clicks of the data set itself

PAGE = 5  # candidates in a request
DEFAULT_CATEGORIES = 50
LEAST_OF_A_DAY = 100  # impressions


class SyntheticConfig(Frozen):
    """Sizes of the synthetic world; the defaults are those of the notebook."""

    examples: int = Field(50_000, ge=100, le=10**10, description="How many impressions.")
    users: int = Field(1_000, ge=1, le=10**8)
    items: int = Field(500, ge=PAGE, le=10**8)
    categories: int | None = Field(None, ge=1, le=10**8, description=f"None: {DEFAULT_CATEGORIES}, or one for each item if fewer.")
    history: int = Field(
        10, ge=1, le=LONGEST_HISTORY, description=f"Most recent clicks that are kept; above {LONG}, users come with a past."
    )
    labels: Literal["interest", "random"] = Field("interest", description="random: coin flips, so nothing can be learnt.")
    ads: bool = Field(False, description="Candidates have a price and a brand, on which clicks depend.")
    conversions: bool = Field(False, description="A second label, purchase.")
    seed: int = Field(0, ge=0, lt=2**32)
    days: int | None = Field(None, ge=2, le=3_650, description="A folder for each of so many days, instead of splits. None: splits.")
    drift: float = Field(0.0, ge=0, le=1, description="With days: how much of the world is another one after a day.")

    @model_validator(mode="after")
    def _check(self) -> "SyntheticConfig":
        if self.category_count > self.items:
            raise ValueError(f"categories ({self.categories}) must not outnumber items ({self.items})")
        if self.drift and not self.days:
            raise ValueError(f"drift ({self.drift}) has no effect without days: set days, or leave drift out")
        if self.days and self.examples < LEAST_OF_A_DAY * self.days:
            raise ValueError(f"examples ({self.examples}) are fewer than {LEAST_OF_A_DAY} for each of {self.days} days")
        return self

    @property
    def has_past(self) -> bool:
        """Whether users come with a full history (`synthetic_past`)."""
        return self.history > LONG

    @property
    def category_count(self) -> int:
        return self.categories or min(DEFAULT_CATEGORIES, self.items)
