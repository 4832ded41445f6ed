"""The sizes of a synthetic data set."""

from typing import Literal

from pydantic import Field, model_validator

from din_trainer.features import LONGEST_HISTORY, Frozen

PAGE = 5  # candidates in a request
DEFAULT_CATEGORIES = 50


class SyntheticConfig(Frozen):
    """Sizes of the synthetic world; the defaults are those of the notebook."""

    examples: int = Field(50_000, ge=100, le=10**10, description="How many impressions.")
    users: int = Field(1_000, ge=1, le=10**8)
    items: int = Field(500, ge=PAGE, le=10**8)
    categories: int | None = Field(None, ge=1, le=10**8, description=f"None: {DEFAULT_CATEGORIES}, or one for each item if fewer.")
    history: int = Field(10, ge=1, le=LONGEST_HISTORY, description="How many of the most recent clicks are kept.")
    labels: Literal["interest", "random"] = Field("interest", description="random: coin flips, so nothing can be learnt.")
    seed: int = Field(0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _check(self) -> "SyntheticConfig":
        if self.category_count > self.items:
            raise ValueError(f"categories ({self.categories}) must not outnumber items ({self.items})")
        return self

    @property
    def category_count(self) -> int:
        return self.categories or min(DEFAULT_CATEGORIES, self.items)
