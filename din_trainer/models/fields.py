"""What a model works on: ids without padding, and the fields that embeddings make of them."""

from typing import Any, NamedTuple


class Ids(NamedTuple):
    """Transformed features with the padding gone; all by raw name.

    Attributes:
        ids: Categorical ones: (B,) int64, or (E,) for a history. Those of the candidates may be (B, N): N candidates an impression.
        rows: Of histories: the impression that each event belongs to, (E,) int64.
        numbers: Numeric features, (B, 1) float32.
        time_gaps: Of the first sequence's events, (E, 1) float32, or None.
    """

    ids: dict[str, Any]
    rows: dict[str, Any]
    numbers: list[Any]
    time_gaps: Any


class Fields(NamedTuple):
    """What an impression is made of, each (B, D): candidate fields by raw name, interests by their history's, side features, numbers.

    `pooled` are the interests again, a sequence each, not split into its behaviours. Of N candidates an impression, each is (B · N, D),
    candidate by candidate.
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
