"""The embedded fields that the base models concatenate and multiply."""

from typing import Any, NamedTuple


class Fields(NamedTuple):
    """The fields of each impression, (B, D) each; with N candidates an impression, (B · N, D), candidate by candidate.

    Attributes:
        candidate: Candidate fields by raw name.
        interest: The history of each behaviour as one vector, by the raw name of the history.
        pooled: The same vectors, those of one sequence concatenated.
        side: User and context features that are embedded.
        numbers: Numeric features, each of size 1.
    """

    candidate: dict[str, Any]
    interest: dict[str, Any]
    pooled: list[Any]
    side: list[Any]
    numbers: list[Any]

    @property
    def embedded(self) -> list[Any]:
        """The fields that are embeddings, in order."""
        return [*self.candidate.values(), *self.interest.values(), *self.side]
