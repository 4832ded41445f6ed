"""The parts of a mapping about side tables: further fields of the items, and features of the users."""

from pydantic import Field, model_validator

from din_trainer.frozen import Frozen
from pipeline.datasets.sources.interactions import CANDIDATE, HISTORICAL, ITEM


class _SideMapping(Frozen):
    """A side table."""

    file: str = Field("", description="Relative to SOURCE's folder, or absolute.")
    id: str = Field("", description="The column with the id.")
    columns: dict[str, str] = Field(default_factory=dict, description="Feature -> column.")

    @model_validator(mode="after")
    def _check(self) -> "_SideMapping":
        if bool(self.file) != bool(self.id) or bool(self.file) != bool(self.columns):
            raise ValueError("it needs file, id and columns")
        return self


class ItemsMapping(_SideMapping):
    """A side table with further fields of the items."""

    @model_validator(mode="after")
    def _check_names(self) -> "ItemsMapping":
        for name in self.columns:
            if not name.startswith(CANDIDATE) or name == ITEM:
                raise ValueError(f"{name!r} is not a further field of an item: call it {CANDIDATE}…, e.g. candidate_category_id")
        return self


class UsersMapping(_SideMapping):
    """A side table with features of the users."""

    @model_validator(mode="after")
    def _check_names(self) -> "UsersMapping":
        for name in self.columns:
            if name.startswith((CANDIDATE, HISTORICAL)):
                raise ValueError(f"{name!r} is the name of an item's field or of a history, not of a feature of the user")
        return self
