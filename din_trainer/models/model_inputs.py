"""What a model reads: a batch of transformed features without the padding of its histories and tags.

B impressions a batch, E events in all of their histories, N candidates an impression, D the size of an embedding.
"""

from typing import Any, NamedTuple

from keras import ops


class Bag(NamedTuple):
    """The tags of a feature, one after the other, without padding. V tags in all.

    Attributes:
        ids: (V,) int64, in the order of their slots.
        slots: What each tag belongs to, (V,) int64, ascending: the impression, the candidate b · N + n, or the event.
        weights: (V,) float32; None if each is 1.
    """

    ids: Any
    slots: Any
    weights: Any


class ModelInputs(NamedTuple):
    """A batch of transformed features, each by its name after Transform.

    Attributes:
        ids: Features with one id: (B,) int64, or (E,) for a history and a field of events. Candidate features may be (B, N).
        rows: The impression that each event belongs to, by the name of each history and of each field of events: (E,) int64, ascending.
        bags: Tags.
        dense: Numbers and vectors: (B, width) float32, or (E, width) for a field of events, such as a time gap. Candidate features may be
            (B, N, width).
        splits: Where the events of each impression begin in the long history, (B + 1,) int64; None if only `rows` say it.
    """

    ids: dict[str, Any]
    rows: dict[str, Any]
    bags: dict[str, Bag]
    dense: dict[str, Any]
    splits: Any = None


class History(NamedTuple):
    """The embedded histories of one behaviour sequence.

    Attributes:
        query: The candidate's embedding, (B, D); or (B, N, D).
        keys: The events' embeddings, (E, D).
        rows: The impression that each event belongs to, (E,) int64, ascending.
        fields: The further fields of the events, (E, X), or None.
    """

    query: Any
    keys: Any
    rows: Any
    fields: Any

    def events(self) -> Any:
        """All that is known of the events, (E, D + X)."""
        return self.keys if self.fields is None else ops.concatenate([self.keys, self.fields], axis=1)
