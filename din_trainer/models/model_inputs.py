"""What a model reads: a batch of transformed features without the padding of its histories.

B impressions a batch, E events in all of their histories, N candidates an impression, D the size of an embedding.
"""

from typing import Any, NamedTuple


class ModelInputs(NamedTuple):
    """A batch of transformed features.

    Attributes:
        ids: Categorical features by raw name: (B,) int64, or (E,) for a history. Candidate features may be (B, N).
        rows: The impression that each event belongs to, by the raw name of its history: (E,) int64, ascending.
        numbers: Numeric features, each (B, 1) float32.
        time_gaps: The time gaps of the first sequence's events, (E, 1) float32; None for a model that does not use them.
    """

    ids: dict[str, Any]
    rows: dict[str, Any]
    numbers: list[Any]
    time_gaps: Any


class History(NamedTuple):
    """The embedded histories of one behaviour sequence.

    Attributes:
        query: The candidate's embedding, (B, D); or (B, N, D).
        keys: The events' embeddings, (E, D).
        rows: The impression that each event belongs to, (E,) int64, ascending.
        time_gaps: The events' time gaps, (E, 1), or None.
    """

    query: Any
    keys: Any
    rows: Any
    time_gaps: Any
