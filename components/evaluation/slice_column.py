"""A column that is computed from the data, to slice by."""

from typing import Literal, NamedTuple


class SliceColumn(NamedTuple):
    """How a column is computed.

    Attributes:
        kind: `length`: the number of events of a history, and `count`: how often a value occurs in train/, both in buckets; `tags`: each
            value once, without those that are missing; `buckets`: the bucket of a number.
        feature: The feature that it is computed from.
        boundaries: Of `buckets`: the boundaries between them.
        quantiles: Of `buckets` without boundaries: as many buckets, with the same number of values of train/ in each.
    """

    kind: Literal["length", "count", "tags", "buckets"]
    feature: str
    boundaries: tuple[float, ...] = ()
    quantiles: int = 0
