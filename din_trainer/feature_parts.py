"""The parts of a feature definition that are no kinds: behaviours, positions of the candidate, and tables of attributes."""

from typing import Literal

from pydantic import Field, model_validator

from din_trainer.frozen import Frozen
from din_trainer.kinds import Dim, Vocabulary


class Behaviour(Vocabulary):
    """A history and the candidate field that activates it. Both share one vocabulary and one embedding table.

    Behaviours of one `sequence` are aligned event by event and activated together, by the concatenation of their candidate fields (the
    paper's figure 2). Each sequence has its own attention unit.
    """

    candidate: str
    history: str
    sequence: str = Field("clicks", pattern="^[A-Za-z0-9_-]{1,100}$", description="Behaviours with the same name form one sequence.")
    vocabulary: str = Field("", description="The name of another behaviour whose vocabulary and embedding table are used.")
    lookup: str = Field("", description="The table that has both fields, by the items of the sequence; by default the data has them.")
    column: str = Field("", description="The column of that table; by default the behaviour's name.")

    @model_validator(mode="after")
    def _check_vocabulary(self) -> "Behaviour":
        own = [name for name, field in Vocabulary.model_fields.items() if getattr(self, name) != field.default]
        if self.vocabulary and own:
            raise ValueError(f"{own[0]} belongs to the vocabulary {self.vocabulary!r}: set it there")
        if self.column and not self.lookup:
            raise ValueError("column names a column of a table: set lookup, too")
        return self


class Position(Frozen):
    """Where the candidate stood on the page. Training reads it, and the served model takes one position for all candidates."""

    positions: int = Field(50, ge=1, le=1_000_000, description="Positions 0, 1, …; higher ones count as the last.")
    serving: int = Field(0, ge=0, le=1_000_000, description="The position that the served model takes.")
    tower: Literal["mlp", "shallow"] = Field("shallow", description="shallow: it adds a bias to the logit; mlp: it is an input of the MLP.")
    dim: Dim = 8

    @model_validator(mode="after")
    def _check(self) -> "Position":
        if self.serving >= self.positions:
            raise ValueError(f"serving is position {self.serving}, but there are only {self.positions} positions, from 0")
        return self

    @property
    def rows(self) -> int:
        """Embedding rows: padding, which no position has, and the positions."""
        return self.positions + 1


class Lookup(Frozen):
    """A table of the attributes of items or users, which is shipped with the model, so that a request needs ids alone."""

    table: str = Field(min_length=1, description="A file: .parquet, .csv or .npz, with one row for each id (and time).")
    key: str = Field(min_length=1, description="The column of the table with the ids.")
    of: str = Field(min_length=1, description="The feature whose ids are looked up, such as candidate_item_id.")
    valid_from: str = Field(
        "", description="The column with the unix second from which a row holds; an impression gets the row of its time."
    )
